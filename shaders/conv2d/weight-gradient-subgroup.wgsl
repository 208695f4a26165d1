// conv2d's weight gradient by implicit GEMM, for software GPUs:
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: one subgroup computes 4 LANES rows x LANES vec4s of columns over the output rows (n, p) of its
// split. Both operands lie with their matrix rows contiguous, so that a lane loads one vec4 of x (4 rows of its own) and one
// of dy for each pixel; broadcasts hand the rows to all lanes. Four pixels a step: the accumulators live in the L1 cache,
// and adding four products at once spares three of four trips there (1.5 times as fast). The splits' sums are added by a
// second dispatch, in fixed order.
enable subgroups;

const LANES: u32 = 8u;
alias Stored = vec4f; // vec2u where x and dy are f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C; C is a multiple of 4
  dy_size: vec4u, // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  splits: u32,
  rows_per_split: u32, // output rows (n, p) that one split sums over
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// May load texels instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Stored { return x[i]; }
fn load_dy(i: u32) -> Stored { return dy[i]; }

// The accumulators of one component of all lanes' x, with constant indices only, so that they become registers.
alias Tile = array<vec4f, 8>;

// a: one row of this lane at four pixels; b: these pixels of dy.
// A shuffle from a constant lane is a broadcast, and a few per cent faster here than subgroupBroadcast.
fn accumulate(tile: ptr<function, Tile>, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
  (*tile)[0] += subgroupShuffle(a.x, 0u) * b0 + subgroupShuffle(a.y, 0u) * b1 + subgroupShuffle(a.z, 0u) * b2 + subgroupShuffle(a.w, 0u) * b3;
  (*tile)[1] += subgroupShuffle(a.x, 1u) * b0 + subgroupShuffle(a.y, 1u) * b1 + subgroupShuffle(a.z, 1u) * b2 + subgroupShuffle(a.w, 1u) * b3;
  (*tile)[2] += subgroupShuffle(a.x, 2u) * b0 + subgroupShuffle(a.y, 2u) * b1 + subgroupShuffle(a.z, 2u) * b2 + subgroupShuffle(a.w, 2u) * b3;
  (*tile)[3] += subgroupShuffle(a.x, 3u) * b0 + subgroupShuffle(a.y, 3u) * b1 + subgroupShuffle(a.z, 3u) * b2 + subgroupShuffle(a.w, 3u) * b3;
  if (LANES > 4u) {
    (*tile)[4] += subgroupShuffle(a.x, 4u) * b0 + subgroupShuffle(a.y, 4u) * b1 + subgroupShuffle(a.z, 4u) * b2 + subgroupShuffle(a.w, 4u) * b3;
    (*tile)[5] += subgroupShuffle(a.x, 5u) * b0 + subgroupShuffle(a.y, 5u) * b1 + subgroupShuffle(a.z, 5u) * b2 + subgroupShuffle(a.w, 5u) * b3;
    (*tile)[6] += subgroupShuffle(a.x, 6u) * b0 + subgroupShuffle(a.y, 6u) * b1 + subgroupShuffle(a.z, 6u) * b2 + subgroupShuffle(a.w, 6u) * b3;
    (*tile)[7] += subgroupShuffle(a.x, 7u) * b0 + subgroupShuffle(a.y, 7u) * b1 + subgroupShuffle(a.z, 7u) * b2 + subgroupShuffle(a.w, 7u) * b3;
  }
}

fn store_row(row: u32, at: u32, column: u32, value: vec4f) {
  let columns = params.dy_size.w / 4u;
  if (row < params.window.x * params.window.y * params.x_size.w) {
    dweight[at + row * columns + column] = value;
  }
}

fn store(tile: ptr<function, Tile>, first: u32, at: u32, column: u32) {
  store_row(first + 0u, at, column, (*tile)[0]);
  store_row(first + 4u, at, column, (*tile)[1]);
  store_row(first + 8u, at, column, (*tile)[2]);
  store_row(first + 12u, at, column, (*tile)[3]);
  if (LANES > 4u) {
    store_row(first + 16u, at, column, (*tile)[4]);
    store_row(first + 20u, at, column, (*tile)[5]);
    store_row(first + 24u, at, column, (*tile)[6]);
    store_row(first + 28u, at, column, (*tile)[7]);
  }
}

// Four channels of x under output column q; zero outside of the image and past the last column.
fn load_pixel(image_row: u32, q: u32, offset: i32, inside_rows: bool, channel: u32) -> vec4f {
  let j = i32(q) * params.step.y + offset;
  let inside = inside_rows && q < params.dy_size.z && u32(j) < params.x_size.z;
  let at = (image_row + u32(j)) * (params.x_size.w / 4u) + channel;
  return select(vec4f(), unpack(load_x(select(0u, at, inside))), inside);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.dy_size.w / 4u;
  let rows = params.window.x * params.window.y * params.x_size.w;
  let column_tiles = (columns + LANES - 1u) / (LANES);
  let row_tiles = (rows + 4u * LANES - 1u) / (4u * LANES);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let split = group / (column_tiles * row_tiles);
  if (split >= params.splits) { return; }
  let first = (group / column_tiles) % row_tiles * 4u * LANES;
  let column = (group % column_tiles) * LANES + lane;
  // A lane past the last column computes on a valid address and stores nothing.
  let safe_column = min(column, columns - 1u);

  // The tap and the channels of this lane's 4 rows. C is a multiple of 4, so they share the tap.
  let own = min(first + 4u * lane, rows - 4u);
  let tap = own / params.x_size.w;
  let offset = vec2i(vec2u(tap / params.window.y, tap % params.window.y) * params.window.zw) - params.step.zw;
  let channel = own % params.x_size.w / 4u;

  let first_row = first / (params.x_size.w * params.window.y);
  let one_row = first_row == (min(first + 4u * LANES, rows) - 1u) / (params.x_size.w * params.window.y);
  let first_offset = i32(first_row * params.window.z) - params.step.z;

  var tx: Tile; var ty: Tile; var tz: Tile; var tw: Tile;
  let first_dy_row = split * params.rows_per_split;
  let end = min(first_dy_row + params.rows_per_split, params.dy_size.x * params.dy_size.y);
  // Counted, not divided: an integer division costs as much as a dozen loads here.
  var n = first_dy_row / params.dy_size.y;
  var p = first_dy_row % params.dy_size.y;
  var row = first_dy_row;
  var q = 0u;
  // One loop, not one in another: each loop carries all accumulators through a mask.
  while (row < end) {
    let top = i32(p) * params.step.x;
    let i = top + offset.x;
    let inside_rows = u32(i) < params.x_size.y;
    let image_row = (n * params.x_size.y + u32(i)) * params.x_size.z;
    let dy_row = row * params.dy_size.z;
    // Where the whole tile looks at one row of the image and that lies outside, there is nothing to add.
    let nothing = one_row && u32(top + first_offset) >= params.x_size.y;
    if (!nothing) {
      let a0 = load_pixel(image_row, q, offset.y, inside_rows, channel);
      let a1 = load_pixel(image_row, q + 1u, offset.y, inside_rows, channel);
      let a2 = load_pixel(image_row, q + 2u, offset.y, inside_rows, channel);
      let a3 = load_pixel(image_row, q + 3u, offset.y, inside_rows, channel);
      let last = params.dy_size.z - 1u;
      let b0 = unpack(load_dy((dy_row + q) * columns + safe_column));
      let b1 = unpack(load_dy((dy_row + min(q + 1u, last)) * columns + safe_column));
      let b2 = unpack(load_dy((dy_row + min(q + 2u, last)) * columns + safe_column));
      let b3 = unpack(load_dy((dy_row + min(q + 3u, last)) * columns + safe_column));
      accumulate(&tx, vec4f(a0.x, a1.x, a2.x, a3.x), b0, b1, b2, b3);
      accumulate(&ty, vec4f(a0.y, a1.y, a2.y, a3.y), b0, b1, b2, b3);
      accumulate(&tz, vec4f(a0.z, a1.z, a2.z, a3.z), b0, b1, b2, b3);
      accumulate(&tw, vec4f(a0.w, a1.w, a2.w, a3.w), b0, b1, b2, b3);
    }
    q += 4u;
    if (nothing || q >= params.dy_size.z) {
      q = 0u;
      row++;
      p++;
      if (p == params.dy_size.y) { p = 0u; n++; }
    }
  }
  if (column >= columns) { return; }
  let at = split * rows * columns;
  // A loop that stays one, since the compiler does not know its end: moving the tiles up costs less than four copies of the code.
  for (var k = first; k < min(rows, first + 4u); k++) {
    store(&tx, k, at, column);
    tx = ty; ty = tz; tz = tw;
  }
}
