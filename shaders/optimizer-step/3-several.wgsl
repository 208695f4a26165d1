// Rung 3 of the optimizer ladder: four vec4s an invocation. What an invocation costs before its first load is paid a quarter as
// often. The size must be a multiple of 16.

const VECTORS: u32 = 4u; // per invocation

struct Params {
  size: u32, // vec4s
  lr: f32,
  momentum: f32,
  decay: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> buffers: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  if (first >= params.size) { return; }
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    let w = weights[at];
    let buffer = params.momentum * buffers[at] + gradients[at] + params.decay * w;
    buffers[at] = buffer;
    weights[at] = w - params.lr * buffer;
  }
}
