// y[m,n] = sum over k of a[k,m] b[k,n], for any GPU: no subgroups, no workgroup memory, no barriers. An invocation computes 8 x 8
// values in registers: per k two vec4 of a and two of b for 64 multiply-adds. Both operands have k outermost.

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

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  // Neighbouring invocations take neighbouring columns: they load the same vec4 of a, and a run of b.
  let tile = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (tile >= params.tiles) {
    return;
  }
  let column_tile = tile % params.column_tiles;
  let row_tile = tile / params.column_tiles % params.row_tiles;
  let batch = tile / params.column_tiles / params.row_tiles;

  // In vec4s. The second vec4 of an edge tile may lie past the row: then the last one is loaded and its values not stored.
  let a_stride = (params.rows + 3u) / 4u;
  let b_stride = (params.columns + 3u) / 4u;
  let a_second = min(1u, a_stride - 1u - row_tile * 2u);
  let b_second = min(1u, b_stride - 1u - column_tile * 2u);
  var a_at = batch * params.a_batch + row_tile * 2u;
  var b_at = batch * params.b_batch + column_tile * 2u;

  var top_left: array<vec4f, 4>;
  var top_right: array<vec4f, 4>;
  var bottom_left: array<vec4f, 4>;
  var bottom_right: array<vec4f, 4>;
  for (var k = 0u; k < params.depth; k++) {
    let top = a[a_at];
    let bottom = a[a_at + a_second];
    let left = b[b_at];
    let right = b[b_at + b_second];
    accumulate(&top_left, top, left);
    accumulate(&top_right, top, right);
    accumulate(&bottom_left, bottom, left);
    accumulate(&bottom_right, bottom, right);
    a_at += a_stride;
    b_at += b_stride;
  }

  let row = row_tile * 8u;
  let column = column_tile * 8u;
  store(&top_left, batch, row, column);
  store(&top_right, batch, row, column + 4u);
  store(&bottom_left, batch, row + 4u, column);
  store(&bottom_right, batch, row + 4u, column + 4u);
}

// block += the outer product of four rows of a and four columns of b. Constant indices, so that the array lives in registers.
fn accumulate(block: ptr<function, array<vec4f, 4>>, a_values: vec4f, b_values: vec4f) {
  (*block)[0] += a_values.x * b_values;
  (*block)[1] += a_values.y * b_values;
  (*block)[2] += a_values.z * b_values;
  (*block)[3] += a_values.w * b_values;
}

fn store(block: ptr<function, array<vec4f, 4>>, batch: u32, row: u32, column: u32) {
  store_row((*block)[0], batch, row, column);
  store_row((*block)[1], batch, row + 1u, column);
  store_row((*block)[2], batch, row + 2u, column);
  store_row((*block)[3], batch, row + 3u, column);
}

fn store_row(values: vec4f, batch: u32, row: u32, column: u32) {
  if (row < params.rows) {
    let at = (batch * params.rows + row) * params.columns + column;
    if (column < params.columns) { y[at] = values.x; }
    if (column + 1u < params.columns) { y[at + 1u] = values.y; }
    if (column + 2u < params.columns) { y[at + 2u] = values.z; }
    if (column + 3u < params.columns) { y[at + 3u] = values.w; }
  }
}
