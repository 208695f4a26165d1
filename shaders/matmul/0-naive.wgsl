// Rung 0 of the matmul ladder: y[m,n] = sum over k of a[m,k] b[k,n], as the formula stands. One invocation, one value of y.
// Each multiply-add loads two numbers. Neighbouring invocations take neighbouring columns: b is read in runs, and all of them
// read the same number of a.

struct Params {
  rows: u32,    // M
  columns: u32, // N
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<f32>; // [M, K]
@group(0) @binding(1) var<storage, read> b: array<f32>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [M, N]
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
  var sum = 0.0;
  for (var k = 0u; k < params.depth; k++) {
    sum += a[row * params.depth + k] * b[k * params.columns + column];
  }
  y[row * params.columns + column] = sum;
}
