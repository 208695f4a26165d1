// Rung 2 of the batch-norm ladder: the relu, four vec4s an invocation.

const VECTORS: u32 = 4u;

struct Params {
  size: u32, // vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var at = first; at < min(first + VECTORS, params.size); at++) {
    y[at] = max(x[at], vec4f());
  }
}
