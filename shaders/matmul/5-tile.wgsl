// Rung 5 of the matmul ladder, for software GPUs: the tile of a subgroup grows to LANES * 4 rows by LANES * 4 columns. Each lane loads
// a vec4 of a (four rows) instead of one number: eight numbers a lane for LANES * 16 multiply-adds. M and N must be multiples of
// LANES * 4.

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  rows: u32,    // M / 4
  columns: u32, // N / 4
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [K, M]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> params: Params;

// Row 4 * i + j of the tile is element i of rows_j: component j of lane i's vec4.
alias Rows = array<vec4f, 8>;

fn accumulate(rows: ptr<function, Rows>, a_value: f32, b_values: vec4f) {
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

fn store(rows: ptr<function, Rows>, first: u32) {
  let step = 4u * params.columns;
  y[first] = (*rows)[0];
  y[first + 1u * step] = (*rows)[1];
  y[first + 2u * step] = (*rows)[2];
  y[first + 3u * step] = (*rows)[3];
  if (LANES == 8u) {
    y[first + 4u * step] = (*rows)[4];
    y[first + 5u * step] = (*rows)[5];
    y[first + 6u * step] = (*rows)[6];
    y[first + 7u * step] = (*rows)[7];
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let row = tile / (params.columns / LANES) * LANES;
  let column = tile % (params.columns / LANES) * LANES + lane;
  if (row >= params.rows) { return; }
  var rows_0: Rows; var rows_1: Rows; var rows_2: Rows; var rows_3: Rows;
  for (var k = 0u; k < params.depth; k++) {
    let a_values = a[k * params.rows + row + lane];
    let b_values = b[k * params.columns + column];
    accumulate(&rows_0, a_values.x, b_values);
    accumulate(&rows_1, a_values.y, b_values);
    accumulate(&rows_2, a_values.z, b_values);
    accumulate(&rows_3, a_values.w, b_values);
  }
  let first = row * 4u * params.columns + column;
  store(&rows_0, first);
  store(&rows_1, first + params.columns);
  store(&rows_2, first + 2u * params.columns);
  store(&rows_3, first + 3u * params.columns);
}
