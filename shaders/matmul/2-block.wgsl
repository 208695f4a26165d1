// Rung 2 of the matmul ladder: an invocation computes a block of 4 x 4 values in registers. With k outermost in a as well (a is
// given transposed), its four rows are one vec4: two loads for sixteen multiply-adds. M and N must be multiples of 4.

struct Params {
  rows: u32,    // M / 4
  columns: u32, // N / 4
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [K, M]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let row = at / params.columns;
  let column = at % params.columns;
  if (row >= params.rows) { return; }
  // Four variables and not an array with a loop: only constant indices are sure to become registers.
  var sum_0 = vec4f();
  var sum_1 = vec4f();
  var sum_2 = vec4f();
  var sum_3 = vec4f();
  for (var k = 0u; k < params.depth; k++) {
    let a_values = a[k * params.rows + row];
    let b_values = b[k * params.columns + column];
    sum_0 += a_values.x * b_values;
    sum_1 += a_values.y * b_values;
    sum_2 += a_values.z * b_values;
    sum_3 += a_values.w * b_values;
  }
  let first = row * 4u * params.columns + column;
  y[first] = sum_0;
  y[first + params.columns] = sum_1;
  y[first + 2u * params.columns] = sum_2;
  y[first + 3u * params.columns] = sum_3;
}
