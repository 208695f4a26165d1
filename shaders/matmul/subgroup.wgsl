// y[m,n] = sum over k of a[k,m] b[k,n], for software GPUs. One subgroup computes LANES * 4 rows by LANES * 4 columns, without
// barriers: for each k, every lane loads a vec4 of a (its four rows) and a vec4 of b (its four columns), and subgroupBroadcast hands
// each lane's rows to the others. There a load costs as much as 25 to 45 multiply-adds and a broadcast next to nothing.
// Both operands have k outermost, so both loads are contiguous. Four k a turn, all loads before the first multiply-add: the sums do
// not fit into registers, and are fetched and written back once for four products (1.3 times as fast as one k a turn).

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  rows: u32,      // M
  columns: u32,   // N
  depth: u32,     // K
  row_tiles: u32,
  column_tiles: u32,
  tiles: u32,     // in all, batch included
  together: u32,  // tiles of columns that are computed in turn for each tile of rows: their b stays in the cache meanwhile
  a_batch: u32,   // vec4s from one matrix of the batch to the next; 0 where all use the same
  b_batch: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [batch, K, M padded to 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [batch, K, N padded to 4]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [batch, M, N]
@group(0) @binding(3) var<uniform> params: Params;

// May load texels instead (engine/gpu/texels.ts).
fn load_a(i: u32) -> vec4f { return a[i]; }
fn load_b(i: u32) -> vec4f { return b[i]; }

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  // Broadcasts need every lane: tiles past the last do the last one's work and store nothing.
  let group = workgroup.x + workgroup.y * workgroups.x;
  let tile = min(group, params.tiles - 1u);
  let batch = tile / (params.row_tiles * params.column_tiles);
  let in_batch = tile % (params.row_tiles * params.column_tiles);
  // `together` tiles of columns for each tile of rows, then the next.
  let block = params.row_tiles * params.together;
  let first_column = in_batch / block * params.together;
  let width = min(params.together, params.column_tiles - first_column);
  let row_tile = in_batch % block / width;
  let column_tile = first_column + in_batch % block % width;

  // In vec4s. Lanes past an edge load the last vec4 of the row; what they compute is not stored.
  let a_stride = (params.rows + 3u) / 4u;
  let b_stride = (params.columns + 3u) / 4u;
  var a_at = batch * params.a_batch + min(row_tile * LANES + lane, a_stride - 1u);
  var b_at = batch * params.b_batch + min(column_tile * LANES + lane, b_stride - 1u);

  // Row 4 * i + j of the tile is rows_j[i]: component j of lane i's vec4.
  var rows_0: Rows;
  var rows_1: Rows;
  var rows_2: Rows;
  var rows_3: Rows;
  for (var k = params.depth / 4u; k > 0u; k--) {
    let a0 = load_a(a_at);
    let a1 = load_a(a_at + a_stride);
    let a2 = load_a(a_at + 2u * a_stride);
    let a3 = load_a(a_at + 3u * a_stride);
    let b0 = load_b(b_at);
    let b1 = load_b(b_at + b_stride);
    let b2 = load_b(b_at + 2u * b_stride);
    let b3 = load_b(b_at + 3u * b_stride);
    accumulate(&rows_0, a0.x, a1.x, a2.x, a3.x, b0, b1, b2, b3);
    accumulate(&rows_1, a0.y, a1.y, a2.y, a3.y, b0, b1, b2, b3);
    accumulate(&rows_2, a0.z, a1.z, a2.z, a3.z, b0, b1, b2, b3);
    accumulate(&rows_3, a0.w, a1.w, a2.w, a3.w, b0, b1, b2, b3);
    a_at += 4u * a_stride;
    b_at += 4u * b_stride;
  }
  for (var k = params.depth % 4u; k > 0u; k--) {
    let a_values = load_a(a_at);
    let b_values = load_b(b_at);
    accumulate_one(&rows_0, a_values.x, b_values);
    accumulate_one(&rows_1, a_values.y, b_values);
    accumulate_one(&rows_2, a_values.z, b_values);
    accumulate_one(&rows_3, a_values.w, b_values);
    a_at += a_stride;
    b_at += b_stride;
  }

  let row = row_tile * LANES * 4u;
  let column = (column_tile * LANES + lane) * 4u;
  let end = select(0u, params.rows, group < params.tiles);
  let first = batch * params.rows * params.columns;
  // A loop that stays one, since the compiler does not know its end: moving the rows up costs less than four copies of the code.
  for (var k = row; k < min(end, row + 4u); k++) {
    store(&rows_0, first, k, end, column);
    rows_0 = rows_1; rows_1 = rows_2; rows_2 = rows_3;
  }
}

alias Rows = array<vec4f, 8>;

// Four steps of k: adds lane i's numbers of a times this lane's columns to row i. Constant indices, so that no index is computed.
fn accumulate(rows: ptr<function, Rows>, a0: f32, a1: f32, a2: f32, a3: f32, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
  (*rows)[0] += subgroupBroadcast(a0, 0u) * b0 + subgroupBroadcast(a1, 0u) * b1 + subgroupBroadcast(a2, 0u) * b2 + subgroupBroadcast(a3, 0u) * b3;
  (*rows)[1] += subgroupBroadcast(a0, 1u) * b0 + subgroupBroadcast(a1, 1u) * b1 + subgroupBroadcast(a2, 1u) * b2 + subgroupBroadcast(a3, 1u) * b3;
  (*rows)[2] += subgroupBroadcast(a0, 2u) * b0 + subgroupBroadcast(a1, 2u) * b1 + subgroupBroadcast(a2, 2u) * b2 + subgroupBroadcast(a3, 2u) * b3;
  (*rows)[3] += subgroupBroadcast(a0, 3u) * b0 + subgroupBroadcast(a1, 3u) * b1 + subgroupBroadcast(a2, 3u) * b2 + subgroupBroadcast(a3, 3u) * b3;
  if (LANES == 8u) {
    (*rows)[4] += subgroupBroadcast(a0, 4u) * b0 + subgroupBroadcast(a1, 4u) * b1 + subgroupBroadcast(a2, 4u) * b2 + subgroupBroadcast(a3, 4u) * b3;
    (*rows)[5] += subgroupBroadcast(a0, 5u) * b0 + subgroupBroadcast(a1, 5u) * b1 + subgroupBroadcast(a2, 5u) * b2 + subgroupBroadcast(a3, 5u) * b3;
    (*rows)[6] += subgroupBroadcast(a0, 6u) * b0 + subgroupBroadcast(a1, 6u) * b1 + subgroupBroadcast(a2, 6u) * b2 + subgroupBroadcast(a3, 6u) * b3;
    (*rows)[7] += subgroupBroadcast(a0, 7u) * b0 + subgroupBroadcast(a1, 7u) * b1 + subgroupBroadcast(a2, 7u) * b2 + subgroupBroadcast(a3, 7u) * b3;
  }
}

// One step, for up to three that are left over.
fn accumulate_one(rows: ptr<function, Rows>, a_value: f32, b_values: vec4f) {
  (*rows)[0] += subgroupBroadcast(a_value, 0u) * b_values;
  (*rows)[1] += subgroupBroadcast(a_value, 1u) * b_values;
  (*rows)[2] += subgroupBroadcast(a_value, 2u) * b_values;
  (*rows)[3] += subgroupBroadcast(a_value, 3u) * b_values;
  if (LANES == 8u) {
    (*rows)[4] += subgroupBroadcast(a_value, 4u) * b_values;
    (*rows)[5] += subgroupBroadcast(a_value, 5u) * b_values;
    (*rows)[6] += subgroupBroadcast(a_value, 6u) * b_values;
    (*rows)[7] += subgroupBroadcast(a_value, 7u) * b_values;
  }
}

// Stores rows `row`, `row + 4`, ... that lie before `end`. Constant indices again: one dynamic index would put the array in memory.
fn store(rows: ptr<function, Rows>, first: u32, row: u32, end: u32, column: u32) {
  store_row((*rows)[0], first, row, end, column);
  store_row((*rows)[1], first, row + 4u, end, column);
  store_row((*rows)[2], first, row + 8u, end, column);
  store_row((*rows)[3], first, row + 12u, end, column);
  if (LANES == 8u) {
    store_row((*rows)[4], first, row + 16u, end, column);
    store_row((*rows)[5], first, row + 20u, end, column);
    store_row((*rows)[6], first, row + 24u, end, column);
    store_row((*rows)[7], first, row + 28u, end, column);
  }
}

fn store_row(values: vec4f, first: u32, row: u32, end: u32, column: u32) {
  if (row < end) {
    let at = first + row * params.columns + column;
    if (column < params.columns) { y[at] = values.x; }
    if (column + 1u < params.columns) { y[at + 1u] = values.y; }
    if (column + 2u < params.columns) { y[at + 2u] = values.z; }
    if (column + 3u < params.columns) { y[at + 3u] = values.w; }
  }
}
