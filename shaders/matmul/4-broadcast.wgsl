// Rung 4 of the matmul ladder, for software GPUs: a subgroup computes LANES rows by LANES * 4 columns. Every lane loads one number
// of a (row `lane` of the tile) and one vec4 of b (its own columns); subgroupBroadcast hands each lane's number to all others.
// Two loads a lane for LANES * 4 multiply-adds, no memory shared, no barrier. M must be a multiple of LANES, N of LANES * 4.

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  rows: u32,    // M
  columns: u32, // N / 4
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<f32>; // [K, M]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let row = tile / (params.columns / LANES) * LANES;
  let column = tile % (params.columns / LANES) * LANES + lane;
  if (row >= params.rows) { return; } // the whole subgroup, or nobody: broadcasts need every lane
  var sums: array<vec4f, 8>;
  for (var k = 0u; k < params.depth; k++) {
    let a_value = a[k * params.rows + row + lane];
    let b_values = b[k * params.columns + column];
    sums[0] += subgroupBroadcast(a_value, 0u) * b_values;
    sums[1] += subgroupBroadcast(a_value, 1u) * b_values;
    sums[2] += subgroupBroadcast(a_value, 2u) * b_values;
    sums[3] += subgroupBroadcast(a_value, 3u) * b_values;
    if (LANES == 8u) {
      sums[4] += subgroupBroadcast(a_value, 4u) * b_values;
      sums[5] += subgroupBroadcast(a_value, 5u) * b_values;
      sums[6] += subgroupBroadcast(a_value, 6u) * b_values;
      sums[7] += subgroupBroadcast(a_value, 7u) * b_values;
    }
  }
  let first = row * params.columns + column;
  y[first] = sums[0];
  y[first + params.columns] = sums[1];
  y[first + 2u * params.columns] = sums[2];
  y[first + 3u * params.columns] = sums[3];
  if (LANES == 8u) {
    y[first + 4u * params.columns] = sums[4];
    y[first + 5u * params.columns] = sums[5];
    y[first + 6u * params.columns] = sums[6];
    y[first + 7u * params.columns] = sums[7];
  }
}
