// Winograd's products, one for each plane: y = a b, for software GPUs. The forward pass multiplies a = V [tiles, C] by b = U [C, K];
// the input gradient V of dy [tiles, K] by the transposed U; the weight gradient the transposed V by dm [tiles, K], and then V's rows
// are the ones to sum over. U lies in blocks of 4 x 4 channels (weight.wgsl): a lane loads a whole one a turn, its 4 columns and the 4
// steps of the sum, and transposes it, where it must, by taking its numbers in another order.
//
// One subgroup computes 4 LANES rows x LANES vec4s of columns, as in conv2d/gather-subgroup.wgsl: four steps of the sum a turn,
// all loads before the first multiply-add, broadcasts that hand every row to all lanes, no workgroup memory.
enable subgroups;

const LANES: u32 = 8u;
const A_TRANSPOSED: bool = false; // a is stored as [depth, rows], and b not in blocks
const B_TRANSPOSED: bool = false; // b's blocks are stored as [columns, depth / 4]

struct Params {
  planes: u32,
  rows: u32,    // of y; a multiple of 4 where A_TRANSPOSED
  columns: u32, // of y and b, in vec4s
  depth: u32,   // of the sum; a multiple of 4
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [planes, rows, depth]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [planes, depth / 4, columns] blocks of 4 steps x vec4; [planes, depth, columns] where A_TRANSPOSED
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [planes, rows, columns]
@group(0) @binding(3) var<uniform> params: Params;

// May load texels instead (engine/gpu/texels.ts).
fn load_a(i: u32) -> vec4f { return a[i]; }
fn load_b(i: u32) -> vec4f { return b[i]; }

// The accumulators of the rows that one load brings: constant indices only, so that they become registers.
alias Tile = array<vec4f, 8>;

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

fn store_row(row: u32, at: u32, value: vec4f) {
  if (row < params.rows) { y[at + row * params.columns] = value; }
}

// Stores rows `first`, `first + step`, ...
fn store(tile: ptr<function, Tile>, first: u32, step: u32, at: u32) {
  store_row(first, at, (*tile)[0]);
  store_row(first + step, at, (*tile)[1]);
  store_row(first + 2u * step, at, (*tile)[2]);
  store_row(first + 3u * step, at, (*tile)[3]);
  if (LANES > 4u) {
    store_row(first + 4u * step, at, (*tile)[4]);
    store_row(first + 5u * step, at, (*tile)[5]);
    store_row(first + 6u * step, at, (*tile)[6]);
    store_row(first + 7u * step, at, (*tile)[7]);
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let column_tiles = (params.columns + LANES - 1u) / LANES;
  let row_tiles = (params.rows + 4u * LANES - 1u) / (4u * LANES);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let plane = group / (column_tiles * row_tiles);
  if (plane >= params.planes) { return; }
  let first = group / column_tiles % row_tiles * 4u * LANES;
  let column = group % column_tiles * LANES + lane;

  // A lane past the last row or column computes on a valid address and stores nothing.
  let last = params.rows - 1u;
  let a_columns = select(params.depth, params.rows, A_TRANSPOSED) / 4u;
  let a_plane = plane * params.rows * params.depth / 4u;
  let row_0 = a_plane + min(first + lane, last) * a_columns;
  let row_1 = a_plane + min(first + lane + LANES, last) * a_columns;
  let row_2 = a_plane + min(first + lane + 2u * LANES, last) * a_columns;
  let row_3 = a_plane + min(first + lane + 3u * LANES, last) * a_columns;
  let own_rows = a_plane + min(first + 4u * lane, last) / 4u;
  let b_plane = plane * params.depth * params.columns;
  let b_column = min(column, params.columns - 1u);
  // From one row of b to the next, and from one turn's rows to the next turn's.
  let b_row = select(1u, params.columns, A_TRANSPOSED);
  let b_turn = select(4u * params.columns, 4u, B_TRANSPOSED);
  let own_column = b_plane + select(select(4u, params.depth, B_TRANSPOSED), 1u, A_TRANSPOSED) * b_column;

  // Row i LANES + j of the tile is ti[j]; where A_TRANSPOSED, row 4 j + i.
  var t0: Tile; var t1: Tile; var t2: Tile; var t3: Tile;
  for (var k = 0u; k < params.depth; k += 4u) {
    let b_at = own_column + k / 4u * b_turn;
    var own_b = mat4x4f(load_b(b_at), load_b(b_at + b_row), load_b(b_at + 2u * b_row), load_b(b_at + 3u * b_row));
    if (B_TRANSPOSED) { own_b = transpose(own_b); }
    let b0 = own_b[0];
    let b1 = own_b[1];
    let b2 = own_b[2];
    let b3 = own_b[3];
    if (A_TRANSPOSED) {
      let a_at = own_rows + k * a_columns;
      let own = transpose(mat4x4f(load_a(a_at), load_a(a_at + a_columns), load_a(a_at + 2u * a_columns), load_a(a_at + 3u * a_columns)));
      accumulate(&t0, own[0], b0, b1, b2, b3);
      accumulate(&t1, own[1], b0, b1, b2, b3);
      accumulate(&t2, own[2], b0, b1, b2, b3);
      accumulate(&t3, own[3], b0, b1, b2, b3);
    } else {
      let a0 = load_a(row_0 + k / 4u);
      let a1 = load_a(row_1 + k / 4u);
      let a2 = load_a(row_2 + k / 4u);
      let a3 = load_a(row_3 + k / 4u);
      accumulate(&t0, a0, b0, b1, b2, b3);
      accumulate(&t1, a1, b0, b1, b2, b3);
      accumulate(&t2, a2, b0, b1, b2, b3);
      accumulate(&t3, a3, b0, b1, b2, b3);
    }
  }
  if (column >= params.columns) { return; }
  let at = plane * params.rows * params.columns + column;
  let next = select(LANES, 1u, A_TRANSPOSED);
  let step = select(1u, 4u, A_TRANSPOSED);
  // A loop that stays one, since the compiler does not know its end: moving the tiles up costs less than four copies of the code.
  for (var k = first; k < min(params.rows, first + 4u * next); k += next) {
    store(&t0, k, step, at);
    t0 = t1; t1 = t2; t2 = t3;
  }
}
