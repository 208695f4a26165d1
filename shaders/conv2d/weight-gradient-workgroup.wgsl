// conv2d's weight gradient by implicit GEMM, for real GPUs: tiles of both operands in workgroup memory.
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: a workgroup computes TILE_ROWS x TILE_COLUMNS of it over the output pixels (n, p, q) of its split,
// each invocation 8 x 8 in registers. Tiles, buffers and turns as in matmul/workgroup.wgsl, 8 pixels a strip: both operands lie with
// their matrix rows contiguous, so that strips are copied as they are. An invocation copies the same channels of the same tap for
// every pixel. The splits' sums are added by a second dispatch, in fixed order.
//
// The geometry is constant (one pipeline per shape); the number of images, which changes at the end of an epoch, is not.

const TILE_ROWS: u32 = 64u;    // 64 or 128
const TILE_COLUMNS: u32 = 64u; // 64 or 128

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
// Pixels of x and dy then correspond: where one under a tap lies differs from its own place by a constant.
const SAME_SIZE = all(X_SIZE.xy == DY_SIZE.xy) && all(STRIDE == vec2i(1));

const THREADS = TILE_ROWS * TILE_COLUMNS / 64u;
const X_VECTORS = TILE_ROWS / 4u; // vec4s of a pixel, and of a strip of 8 pixels
const DY_VECTORS = TILE_COLUMNS / 4u;
const X_STRIP = 8u * X_VECTORS;
const DY_STRIP = 8u * DY_VECTORS;
const X_NEXT = THREADS / X_VECTORS; // pixels from an invocation's first vec4 of a strip to its second; 8: there is none
const DY_NEXT = THREADS / DY_VECTORS;
const ACROSS = TILE_COLUMNS / 8u;   // invocations beside each other

// Constant, and more than any split has: such a loop needs no guard against running forever, one bounded by Params gets one.
const MOST_PAIRS: u32 = 1048576u;

alias Stored = vec4f; // vec2u where x and dy are f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  images: u32,
  splits: u32,
  pairs: u32, // of strips, in one split: 16 pixels each
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// [2][8 pixels][TILE_ROWS or TILE_COLUMNS]: 16 KB together for 128 x 128.
var<workgroup> x_tile: array<vec4f, 2u * X_STRIP>;
var<workgroup> dy_tile: array<vec4f, 2u * DY_STRIP>;

// The sums of an invocation, [row][half]: constant indices only, so that they become registers.
alias Sums = array<vec4f, 16>;

// sums += the outer product of eight rows of x and eight columns of dy, for one pixel.
fn multiply(sums: ptr<function, Sums>, a0: vec4f, a1: vec4f, b0: vec4f, b1: vec4f) {
  (*sums)[0] = fma(vec4f(a0.x), b0, (*sums)[0]);
  (*sums)[1] = fma(vec4f(a0.x), b1, (*sums)[1]);
  (*sums)[2] = fma(vec4f(a0.y), b0, (*sums)[2]);
  (*sums)[3] = fma(vec4f(a0.y), b1, (*sums)[3]);
  (*sums)[4] = fma(vec4f(a0.z), b0, (*sums)[4]);
  (*sums)[5] = fma(vec4f(a0.z), b1, (*sums)[5]);
  (*sums)[6] = fma(vec4f(a0.w), b0, (*sums)[6]);
  (*sums)[7] = fma(vec4f(a0.w), b1, (*sums)[7]);
  (*sums)[8] = fma(vec4f(a1.x), b0, (*sums)[8]);
  (*sums)[9] = fma(vec4f(a1.x), b1, (*sums)[9]);
  (*sums)[10] = fma(vec4f(a1.y), b0, (*sums)[10]);
  (*sums)[11] = fma(vec4f(a1.y), b1, (*sums)[11]);
  (*sums)[12] = fma(vec4f(a1.z), b0, (*sums)[12]);
  (*sums)[13] = fma(vec4f(a1.z), b1, (*sums)[13]);
  (*sums)[14] = fma(vec4f(a1.w), b0, (*sums)[14]);
  (*sums)[15] = fma(vec4f(a1.w), b1, (*sums)[15]);
}

// Where a vec4 of matrix rows comes from: its tap's offset and its channels, and where those lie for pixel 0 of a SAME_SIZE image.
// C is a multiple of 4, so they share the tap.
struct Row { offset: vec2i, channel: u32, same: i32, exists: bool }

fn row_source(vector: u32) -> Row {
  let tap = vector / CHANNEL_VECTORS;
  let offset = vec2i(i32(tap / TAPS.y), i32(tap % TAPS.y)) * DILATION - PADDING;
  let channel = vector % CHANNEL_VECTORS;
  let same = (offset.x * i32(X_SIZE.y) + offset.y) * i32(CHANNEL_VECTORS) + i32(channel);
  return Row(offset, channel, same, vector < ROWS / 4u);
}

// What lies outside is loaded from the first element, and becomes zero when it is put down, after the multiplication: a load in a branch,
// or a choice right behind it, is waited for on the spot.
struct Loaded { value: Stored, inside: bool }

fn load_x(pixel: u32, row: Row) -> Loaded {
  let image = pixel / (DY_SIZE.x * DY_SIZE.y);
  let at = vec2i(i32(pixel / DY_SIZE.y % DY_SIZE.x), i32(pixel % DY_SIZE.y)) * STRIDE + row.offset;
  let inside = row.exists && image < params.images && u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y;
  var index = pixel * CHANNEL_VECTORS + u32(row.same);
  if (!SAME_SIZE) { index = ((image * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y)) * CHANNEL_VECTORS + row.channel; }
  return Loaded(x[select(0u, index, inside)], inside);
}

fn load_dy(pixel: u32, column: u32) -> Loaded {
  let inside = pixel < params.images * (DY_SIZE.x * DY_SIZE.y);
  return Loaded(dy[select(0u, pixel * COLUMN_VECTORS + column, inside)], inside);
}

fn shown(v: Loaded) -> vec4f { return select(vec4f(), unpack(v.value), v.inside); }

fn store(at: u32, row: u32, column: u32, v0: vec4f, v1: vec4f) {
  if (row >= ROWS) { return; }
  if (column < COLUMN_VECTORS) { dweight[at + row * COLUMN_VECTORS + column] = v0; }
  if (column + ACROSS < COLUMN_VECTORS) { dweight[at + row * COLUMN_VECTORS + column + ACROSS] = v1; }
}

@compute @workgroup_size(THREADS)
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
  let across = local / 2u % 8u + local / 32u % (ACROSS / 8u) * 8u;
  let down = local % 2u + local / 16u % 2u * 2u + local / (4u * ACROSS) * 4u;

  // What this invocation copies: one or two vec4s of a strip of each operand. Columns past the last are not stored.
  let source = row_source(first / 4u + local % X_VECTORS);
  let source_column = min(first_column + local % DY_VECTORS, COLUMN_VECTORS - 1u);
  let x_pixel = split * params.pairs * 16u + local / X_VECTORS;
  let dy_pixel = split * params.pairs * 16u + local / DY_VECTORS;
  var x0 = load_x(x_pixel, source);
  var dy0 = load_dy(dy_pixel, source_column);
  var x1: Loaded;
  var dy1: Loaded;
  if (X_NEXT < 8u) { x1 = load_x(x_pixel + X_NEXT, source); }
  if (DY_NEXT < 8u) { dy1 = load_dy(dy_pixel + DY_NEXT, source_column); }
  x_tile[local] = shown(x0);
  dy_tile[local] = shown(dy0);
  if (X_NEXT < 8u) { x_tile[(local + THREADS) % X_STRIP] = shown(x1); }
  if (DY_NEXT < 8u) { dy_tile[(local + THREADS) % DY_STRIP] = shown(dy1); }
  workgroupBarrier();

  var sums: Sums;
  for (var pair = 0u; pair < MOST_PAIRS; pair++) {
    if (pair >= params.pairs) { break; }
    let odd = pair * 16u + 8u;
    x0 = load_x(x_pixel + odd, source);
    dy0 = load_dy(dy_pixel + odd, source_column);
    if (X_NEXT < 8u) { x1 = load_x(x_pixel + odd + X_NEXT, source); }
    if (DY_NEXT < 8u) { dy1 = load_dy(dy_pixel + odd + DY_NEXT, source_column); }
    multiply(&sums, x_tile[down], x_tile[down + X_VECTORS / 2u], dy_tile[across], dy_tile[across + ACROSS]);
    multiply(&sums, x_tile[down + 1u * X_VECTORS], x_tile[down + 1u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 1u * DY_VECTORS], dy_tile[across + 1u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 2u * X_VECTORS], x_tile[down + 2u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 2u * DY_VECTORS], dy_tile[across + 2u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 3u * X_VECTORS], x_tile[down + 3u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 3u * DY_VECTORS], dy_tile[across + 3u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 4u * X_VECTORS], x_tile[down + 4u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 4u * DY_VECTORS], dy_tile[across + 4u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 5u * X_VECTORS], x_tile[down + 5u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 5u * DY_VECTORS], dy_tile[across + 5u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 6u * X_VECTORS], x_tile[down + 6u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 6u * DY_VECTORS], dy_tile[across + 6u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[down + 7u * X_VECTORS], x_tile[down + 7u * X_VECTORS + X_VECTORS / 2u], dy_tile[across + 7u * DY_VECTORS], dy_tile[across + 7u * DY_VECTORS + ACROSS]);
    x_tile[X_STRIP + local] = shown(x0);
    dy_tile[DY_STRIP + local] = shown(dy0);
    if (X_NEXT < 8u) { x_tile[X_STRIP + (local + THREADS) % X_STRIP] = shown(x1); }
    if (DY_NEXT < 8u) { dy_tile[DY_STRIP + (local + THREADS) % DY_STRIP] = shown(dy1); }
    workgroupBarrier();

    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    let even = min(pair * 16u + 16u, params.pairs * 16u - 8u);
    x0 = load_x(x_pixel + even, source);
    dy0 = load_dy(dy_pixel + even, source_column);
    if (X_NEXT < 8u) { x1 = load_x(x_pixel + even + X_NEXT, source); }
    if (DY_NEXT < 8u) { dy1 = load_dy(dy_pixel + even + DY_NEXT, source_column); }
    multiply(&sums, x_tile[X_STRIP + down], x_tile[X_STRIP + down + X_VECTORS / 2u], dy_tile[DY_STRIP + across], dy_tile[DY_STRIP + across + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 1u * X_VECTORS], x_tile[X_STRIP + down + 1u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 1u * DY_VECTORS], dy_tile[DY_STRIP + across + 1u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 2u * X_VECTORS], x_tile[X_STRIP + down + 2u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 2u * DY_VECTORS], dy_tile[DY_STRIP + across + 2u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 3u * X_VECTORS], x_tile[X_STRIP + down + 3u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 3u * DY_VECTORS], dy_tile[DY_STRIP + across + 3u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 4u * X_VECTORS], x_tile[X_STRIP + down + 4u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 4u * DY_VECTORS], dy_tile[DY_STRIP + across + 4u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 5u * X_VECTORS], x_tile[X_STRIP + down + 5u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 5u * DY_VECTORS], dy_tile[DY_STRIP + across + 5u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 6u * X_VECTORS], x_tile[X_STRIP + down + 6u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 6u * DY_VECTORS], dy_tile[DY_STRIP + across + 6u * DY_VECTORS + ACROSS]);
    multiply(&sums, x_tile[X_STRIP + down + 7u * X_VECTORS], x_tile[X_STRIP + down + 7u * X_VECTORS + X_VECTORS / 2u], dy_tile[DY_STRIP + across + 7u * DY_VECTORS], dy_tile[DY_STRIP + across + 7u * DY_VECTORS + ACROSS]);
    x_tile[local] = shown(x0);
    dy_tile[local] = shown(dy0);
    if (X_NEXT < 8u) { x_tile[(local + THREADS) % X_STRIP] = shown(x1); }
    if (DY_NEXT < 8u) { dy_tile[(local + THREADS) % DY_STRIP] = shown(dy1); }
    workgroupBarrier();
  }

  let at = split * ROWS * COLUMN_VECTORS;
  let own = first + down * 4u;
  let column = first_column + across;
  store(at, own, column, sums[0], sums[1]);
  store(at, own + 1u, column, sums[2], sums[3]);
  store(at, own + 2u, column, sums[4], sums[5]);
  store(at, own + 3u, column, sums[6], sums[7]);
  store(at, own + TILE_ROWS / 2u, column, sums[8], sums[9]);
  store(at, own + TILE_ROWS / 2u + 1u, column, sums[10], sums[11]);
  store(at, own + TILE_ROWS / 2u + 2u, column, sums[12], sums[13]);
  store(at, own + TILE_ROWS / 2u + 3u, column, sums[14], sums[15]);
}
