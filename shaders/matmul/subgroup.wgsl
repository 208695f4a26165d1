// y[m,n] = sum over k of a[k,m] b[k,n], for software GPUs. One subgroup computes LANES * 4 rows by LANES * 4 columns, without
// barriers: each step of k, every lane loads a vec4 of a (its four rows) and a vec4 of b (its four columns), and subgroupBroadcast
// hands each lane's rows to the others. There a load costs as much as ten multiply-adds and a broadcast next to nothing.
// Both operands have k outermost, so both loads are contiguous. One k a turn: a longer body would leave the instruction cache.

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  rows: u32,      // M
  columns: u32,   // N
  depth: u32,     // K
  row_tiles: u32,
  column_tiles: u32,
  tiles: u32,     // in all, batch included
  a_batch: u32,   // vec4s from one matrix of the batch to the next; 0 where all use the same
  b_batch: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [batch, K, M padded to 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [batch, K, N padded to 4]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [batch, M, N]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  // Broadcasts need every lane: tiles past the last do the last one's work and store nothing.
  let group = workgroup.x + workgroup.y * workgroups.x;
  let tile = min(group, params.tiles - 1u);
  let column_tile = tile % params.column_tiles;
  let row_tile = tile / params.column_tiles % params.row_tiles;
  let batch = tile / params.column_tiles / params.row_tiles;

  // In vec4s. Lanes past an edge load the last vec4 of the row; what they compute is not stored.
  let a_stride = (params.rows + 3u) / 4u;
  let b_stride = (params.columns + 3u) / 4u;
  var a_at = batch * params.a_batch + min(row_tile * LANES + lane, a_stride - 1u);
  var b_at = batch * params.b_batch + min(column_tile * LANES + lane, b_stride - 1u);

  // Row 4 * i + j of the tile is rows_j[i]: component j of lane i's vec4.
  var rows_0: array<vec4f, 8>;
  var rows_1: array<vec4f, 8>;
  var rows_2: array<vec4f, 8>;
  var rows_3: array<vec4f, 8>;
  for (var k = 0u; k < params.depth; k++) {
    let a_values = a[a_at];
    let b_values = b[b_at];
    accumulate(&rows_0, a_values.x, b_values);
    accumulate(&rows_1, a_values.y, b_values);
    accumulate(&rows_2, a_values.z, b_values);
    accumulate(&rows_3, a_values.w, b_values);
    a_at += a_stride;
    b_at += b_stride;
  }

  let row = row_tile * LANES * 4u;
  let column = (column_tile * LANES + lane) * 4u;
  let end = select(0u, params.rows, group < params.tiles);
  let first = batch * params.rows * params.columns;
  store(&rows_0, first, row, end, column);
  store(&rows_1, first, row + 1u, end, column);
  store(&rows_2, first, row + 2u, end, column);
  store(&rows_3, first, row + 3u, end, column);
}

// Adds lane i's `a_value` times this lane's columns to row i. Constant indices, so that the array lives in registers.
fn accumulate(rows: ptr<function, array<vec4f, 8>>, a_value: f32, b_values: vec4f) {
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
fn store(rows: ptr<function, array<vec4f, 8>>, first: u32, row: u32, end: u32, column: u32) {
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
