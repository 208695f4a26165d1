// conv2d's weight gradient by implicit GEMM, for real GPUs: tiles of both operands in workgroup memory.
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: a workgroup computes TILE_ROWS x TILE_COLUMNS of it over the output pixels (n, p, q) of its
// split, each of its 16 x 16 invocations 4 or 8 rows x 4 or 8 columns in registers. A step brings CHUNK pixels; both operands
// lie with their matrix rows contiguous, so that the tiles need no transposition. The loads of the next step are under way while
// this one's are multiplied. The splits' sums are added by a second dispatch, in fixed order.
//
// The geometry is constant (one pipeline per shape); the number of images, which changes at the end of an epoch, is not.

const TILE_ROWS: u32 = 64u;    // 64 or 128
const TILE_COLUMNS: u32 = 64u; // 64 or 128
const CHUNK: u32 = 16u;        // pixels a step

const X_SIZE: vec3u = vec3u(8u, 8u, 16u);  // H, W, C; C is a multiple of 4
const DY_SIZE: vec3u = vec3u(8u, 8u, 64u); // P, Q, K
const TAPS: vec2u = vec2u(3u, 3u);        // R, S
const STRIDE: vec2i = vec2i(1, 1);
const PADDING: vec2i = vec2i(1, 1);
const DILATION: vec2i = vec2i(1, 1);

const CHANNEL_VECTORS = X_SIZE.z / 4u;
const COLUMN_VECTORS = DY_SIZE.z / 4u;
const ROWS = TAPS.x * TAPS.y * X_SIZE.z;
const ROW_TILES = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const COLUMN_TILES = (DY_SIZE.z + TILE_COLUMNS - 1u) / TILE_COLUMNS;

// How the 256 invocations load the tiles: so many of them a pixel of x, of dy.
const X_VECTORS: u32 = TILE_ROWS / 4u;
const X_PIXELS: u32 = 256u / X_VECTORS;
const DY_VECTORS: u32 = TILE_COLUMNS / 4u;
const DY_PIXELS: u32 = 256u / DY_VECTORS;

// Constant, and more than any split has: such a loop needs no guard against running forever, one bounded by Params gets one.
const MOST_STEPS: u32 = 1048576u;

struct Params {
  images: u32,
  splits: u32,
  steps: u32, // of CHUNK pixels, in one split
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> x_tile: array<vec4f, CHUNK * X_VECTORS>;   // [CHUNK, TILE_ROWS]
var<workgroup> dy_tile: array<vec4f, CHUNK * DY_VECTORS>; // [CHUNK, TILE_COLUMNS]

// The sums of an invocation, [row][vec4 of columns]: constant indices only, so that they become registers.
alias Tile = array<vec4f, 16>;

// Where a vec4 of matrix rows comes from: its tap's offset and its channels. C is a multiple of 4, so they share the tap.
struct Row { offset: vec2i, channel: u32, exists: bool }

fn row_source(vector: u32) -> Row {
  let tap = vector / CHANNEL_VECTORS;
  let offset = vec2i(i32(tap / TAPS.y), i32(tap % TAPS.y)) * DILATION - PADDING;
  return Row(offset, vector % CHANNEL_VECTORS, vector < ROWS / 4u);
}

fn load_x(pixel: u32, row: Row) -> vec4f {
  let image = pixel / (DY_SIZE.x * DY_SIZE.y);
  let at = vec2i(i32(pixel / DY_SIZE.y % DY_SIZE.x), i32(pixel % DY_SIZE.y)) * STRIDE + row.offset;
  let inside = row.exists && image < params.images && u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y;
  let index = ((image * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y)) * CHANNEL_VECTORS + row.channel;
  return select(vec4f(0.0), x[select(0u, index, inside)], inside);
}

fn load_dy(pixel: u32, column: u32) -> vec4f {
  let inside = pixel < params.images * (DY_SIZE.x * DY_SIZE.y) && column < COLUMN_VECTORS;
  return select(vec4f(0.0), dy[select(0u, pixel * COLUMN_VECTORS + column, inside)], inside);
}

fn accumulate(tile: ptr<function, Tile>, pixel: u32, row: u32, column: u32) {
  let a = x_tile[pixel * X_VECTORS + row];
  let b = dy_tile[pixel * DY_VECTORS + column];
  (*tile)[0] += a.x * b;
  (*tile)[2] += a.y * b;
  (*tile)[4] += a.z * b;
  (*tile)[6] += a.w * b;
  if (TILE_COLUMNS > 64u) {
    let b1 = dy_tile[pixel * DY_VECTORS + column + 16u];
    (*tile)[1] += a.x * b1;
    (*tile)[3] += a.y * b1;
    (*tile)[5] += a.z * b1;
    (*tile)[7] += a.w * b1;
    if (TILE_ROWS > 64u) {
      let a1 = x_tile[pixel * X_VECTORS + row + 16u];
      (*tile)[9] += a1.x * b1;
      (*tile)[11] += a1.y * b1;
      (*tile)[13] += a1.z * b1;
      (*tile)[15] += a1.w * b1;
    }
  }
  if (TILE_ROWS > 64u) {
    let a1 = x_tile[pixel * X_VECTORS + row + 16u];
    (*tile)[8] += a1.x * b;
    (*tile)[10] += a1.y * b;
    (*tile)[12] += a1.z * b;
    (*tile)[14] += a1.w * b;
  }
}

fn store(at: u32, row: u32, column: u32, v0: vec4f, v1: vec4f) {
  if (row >= ROWS) { return; }
  if (column < COLUMN_VECTORS) { dweight[at + row * COLUMN_VECTORS + column] = v0; }
  if (TILE_COLUMNS > 64u && column + 16u < COLUMN_VECTORS) { dweight[at + row * COLUMN_VECTORS + column + 16u] = v1; }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  let split = index / (ROW_TILES * COLUMN_TILES);
  if (split >= params.splits) { return; }
  let first = index / COLUMN_TILES % ROW_TILES * TILE_ROWS;
  let first_column = index % COLUMN_TILES * DY_VECTORS;

  let source = row_source(first / 4u + local % X_VECTORS);
  let source_column = first_column + local % DY_VECTORS;
  let x_pixel = split * params.steps * CHUNK + local / X_VECTORS;
  let dy_pixel = split * params.steps * CHUNK + local / DY_VECTORS;
  var x0 = load_x(x_pixel, source);
  var x1 = load_x(x_pixel + X_PIXELS, source);
  var dy0 = load_dy(dy_pixel, source_column);
  var dy1 = load_dy(dy_pixel + DY_PIXELS, source_column);

  let row = local / 16u;
  let column = local % 16u;
  var tile: Tile;
  for (var step = 0u; step < MOST_STEPS; step++) {
    if (step >= params.steps) { break; }
    x_tile[local] = x0;
    if (X_PIXELS < CHUNK) { x_tile[(local + 256u) % (CHUNK * X_VECTORS)] = x1; }
    dy_tile[local] = dy0;
    if (DY_PIXELS < CHUNK) { dy_tile[(local + 256u) % (CHUNK * DY_VECTORS)] = dy1; }
    workgroupBarrier();
    if (step + 1u < params.steps) {
      let next = (step + 1u) * CHUNK;
      x0 = load_x(x_pixel + next, source);
      if (X_PIXELS < CHUNK) { x1 = load_x(x_pixel + next + X_PIXELS, source); }
      dy0 = load_dy(dy_pixel + next, source_column);
      if (DY_PIXELS < CHUNK) { dy1 = load_dy(dy_pixel + next + DY_PIXELS, source_column); }
    }
    for (var pixel = 0u; pixel < CHUNK; pixel++) { accumulate(&tile, pixel, row, column); }
    workgroupBarrier();
  }

  let at = split * ROWS * COLUMN_VECTORS;
  let own = first + row * 4u;
  let own_column = first_column + column;
  store(at, own + 0u, own_column, tile[0], tile[1]);
  store(at, own + 1u, own_column, tile[2], tile[3]);
  store(at, own + 2u, own_column, tile[4], tile[5]);
  store(at, own + 3u, own_column, tile[6], tile[7]);
  if (TILE_ROWS > 64u) {
    store(at, own + 64u, own_column, tile[8], tile[9]);
    store(at, own + 65u, own_column, tile[10], tile[11]);
    store(at, own + 66u, own_column, tile[12], tile[13]);
    store(at, own + 67u, own_column, tile[14], tile[15]);
  }
}
