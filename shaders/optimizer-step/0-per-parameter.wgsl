// Rung 0 of the optimizer ladder: SGD with momentum, one dispatch a parameter and one number an invocation. A net has a hundred
// parameters, most of them small: the dispatches cost more than the numbers.

struct Params {
  first: u32, // of the parameter in the buffers
  size: u32,
  lr: f32,
  momentum: f32,
  decay: f32,
}

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> buffers: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (i >= params.size) { return; }
  let at = params.first + i;
  let d = gradients[at] + params.decay * weights[at];
  buffers[at] = params.momentum * buffers[at] + d;
  weights[at] -= params.lr * buffers[at];
}
