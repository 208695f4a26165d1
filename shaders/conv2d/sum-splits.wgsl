// Adds the splits' partial weight gradients, in fixed order: total[i] = sum over s of parts[s, i]. One invocation a vec4.

struct Params {
  vectors: u32, // vec4s in total
  splits: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (i >= params.vectors) { return; }
  var sum = vec4f(0.0);
  for (var s = 0u; s < params.splits; s++) {
    sum += parts[s * params.vectors + i];
  }
  total[i] = sum;
}
