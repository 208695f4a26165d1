// Rung 1 of the matmul ladder: an invocation computes four neighbouring columns, and loads them as one vec4. Two loads for four
// multiply-adds. N must be a multiple of 4.

struct Params {
  rows: u32,    // M
  columns: u32, // N / 4
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<f32>; // [M, K]
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
  var sum = vec4f();
  for (var k = 0u; k < params.depth; k++) {
    sum += a[row * params.depth + k] * b[k * params.columns + column];
  }
  y[row * params.columns + column] = sum;
}
