// Rung 1 of the optimizer ladder: all parameters lie behind one another in one buffer, gradients and momenta in two others of the
// same layout. One dispatch updates the net.

struct Params {
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
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.size) { return; }
  let d = gradients[at] + params.decay * weights[at];
  buffers[at] = params.momentum * buffers[at] + d;
  weights[at] -= params.lr * buffers[at];
}
