// conv2d's weight gradient by implicit GEMM, for software GPUs:
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: one subgroup computes 4 LANES rows x BLOCKS LANES Blocks of columns over the output rows
// (n, p) of its split. Both operands lie with their matrix rows contiguous, so that a lane loads one vec4 of x (4 rows of its
// own) and BLOCKS Blocks of dy for each pixel; broadcasts hand the rows to all lanes. At 8 lanes and BLOCKS 2: 12 floats
// loaded a lane for 32 x 64 multiply-adds. The splits' sums are added by a second dispatch, in fixed order.
enable subgroups;

const LANES: u32 = 8u;
const BLOCKS: u32 = 2u;
alias Block = vec4f; // vec2f where K is 16: a narrower tile instead of idle lanes
const WIDTH: u32 = 4u; // columns in a Block

struct Params {
  x_size: vec4u,  // N, H, W, C; C is a multiple of 4
  dy_size: vec4u, // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  splits: u32,
  rows_per_split: u32, // output rows (n, p) that one split sums over
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<Block>;
@group(0) @binding(2) var<storage, read_write> dweight: array<Block>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// The accumulators of one component of all lanes' x: [lane][block], constant indices only, so that they become registers.
alias Tile = array<Block, 16>;

fn accumulate(tile: ptr<function, Tile>, a: f32, b0: Block, b1: Block) {
  let a0 = subgroupBroadcast(a, 0u); (*tile)[0] += a0 * b0; if (BLOCKS > 1u) { (*tile)[1] += a0 * b1; }
  let a1 = subgroupBroadcast(a, 1u); (*tile)[2] += a1 * b0; if (BLOCKS > 1u) { (*tile)[3] += a1 * b1; }
  let a2 = subgroupBroadcast(a, 2u); (*tile)[4] += a2 * b0; if (BLOCKS > 1u) { (*tile)[5] += a2 * b1; }
  let a3 = subgroupBroadcast(a, 3u); (*tile)[6] += a3 * b0; if (BLOCKS > 1u) { (*tile)[7] += a3 * b1; }
  if (LANES > 4u) {
    let a4 = subgroupBroadcast(a, 4u); (*tile)[8] += a4 * b0; if (BLOCKS > 1u) { (*tile)[9] += a4 * b1; }
    let a5 = subgroupBroadcast(a, 5u); (*tile)[10] += a5 * b0; if (BLOCKS > 1u) { (*tile)[11] += a5 * b1; }
    let a6 = subgroupBroadcast(a, 6u); (*tile)[12] += a6 * b0; if (BLOCKS > 1u) { (*tile)[13] += a6 * b1; }
    let a7 = subgroupBroadcast(a, 7u); (*tile)[14] += a7 * b0; if (BLOCKS > 1u) { (*tile)[15] += a7 * b1; }
  }
}

fn store_row(row: u32, at: u32, column: u32, v0: Block, v1: Block) {
  let columns = params.dy_size.w / WIDTH;
  if (row < params.window.x * params.window.y * params.x_size.w) {
    if (column < columns) { dweight[at + row * columns + column] = v0; }
    if (BLOCKS > 1u && column + LANES < columns) { dweight[at + row * columns + column + LANES] = v1; }
  }
}

fn store(tile: ptr<function, Tile>, first: u32, at: u32, column: u32) {
  store_row(first + 0u, at, column, (*tile)[0], (*tile)[1]);
  store_row(first + 4u, at, column, (*tile)[2], (*tile)[3]);
  store_row(first + 8u, at, column, (*tile)[4], (*tile)[5]);
  store_row(first + 12u, at, column, (*tile)[6], (*tile)[7]);
  if (LANES > 4u) {
    store_row(first + 16u, at, column, (*tile)[8], (*tile)[9]);
    store_row(first + 20u, at, column, (*tile)[10], (*tile)[11]);
    store_row(first + 24u, at, column, (*tile)[12], (*tile)[13]);
    store_row(first + 28u, at, column, (*tile)[14], (*tile)[15]);
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.dy_size.w / WIDTH;
  let rows = params.window.x * params.window.y * params.x_size.w;
  let column_tiles = (columns + LANES * BLOCKS - 1u) / (LANES * BLOCKS);
  let row_tiles = (rows + 4u * LANES - 1u) / (4u * LANES);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let split = group / (column_tiles * row_tiles);
  if (split >= params.splits) { return; }
  let first = (group / column_tiles) % row_tiles * 4u * LANES;
  let column = (group % column_tiles) * LANES * BLOCKS + lane;
  let c0 = min(column, columns - 1u);
  let c1 = min(column + LANES, columns - 1u);

  // The tap and the channels of this lane's 4 rows. C is a multiple of 4, so they share the tap.
  let own = min(first + 4u * lane, rows - 4u);
  let tap = own / params.x_size.w;
  let offset = vec2i(vec2u(tap / params.window.y, tap % params.window.y) * params.window.zw) - params.step.zw;
  let channel = own % params.x_size.w / 4u;

  var tx: Tile; var ty: Tile; var tz: Tile; var tw: Tile;
  let end = min((split + 1u) * params.rows_per_split, params.dy_size.x * params.dy_size.y);
  for (var row = split * params.rows_per_split; row < end; row++) {
    let i = i32(row % params.dy_size.y) * params.step.x + offset.x;
    let inside_rows = u32(i) < params.x_size.y;
    let image_row = ((row / params.dy_size.y) * params.x_size.y + u32(i)) * params.x_size.z;
    for (var q = 0u; q < params.dy_size.z; q++) {
      let j = i32(q) * params.step.y + offset.y;
      let inside = inside_rows && u32(j) < params.x_size.z;
      let at = (image_row + u32(j)) * (params.x_size.w / 4u) + channel;
      let a = x[select(0u, at, inside)] * select(0.0, 1.0, inside);
      let pixel = (row * params.dy_size.z + q) * columns;
      let b0 = dy[pixel + c0];
      let b1 = dy[pixel + c1];
      accumulate(&tx, a.x, b0, b1);
      accumulate(&ty, a.y, b0, b1);
      accumulate(&tz, a.z, b0, b1);
      accumulate(&tw, a.w, b0, b1);
    }
  }
  let at = split * rows * columns;
  store(&tx, first, at, column);
  store(&ty, first + 1u, at, column);
  store(&tz, first + 2u, at, column);
  store(&tw, first + 3u, at, column);
}
