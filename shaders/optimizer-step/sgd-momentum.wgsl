// SGD with momentum, PyTorch's form (the rate multiplies after the momentum):
//   d = g + decay * w;  buffer = momentum * buffer + fresh * d;  w -= lr * (nesterov ? d + momentum * buffer : buffer)
// One invocation updates a quarter of a 64-float block.

const VECTORS: u32 = 4u;
const UNTOUCHED: u32 = 255u; // padding and frozen parameters

struct Params {
  groups: array<vec4f, 8>, // of each parameter group: learning rate, weight decay
  vectors: u32,            // vec4s in weights, a multiple of 16
  momentum: f32,
  retained: f32,           // weight of the old buffer: momentum, but 0 in the first step
  fresh: f32,              // weight of d: 1 - dampening, but 1 in the first step
  nesterov: u32,
}

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> buffers: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  if (first >= params.vectors) {
    return;
  }
  let group = blocks[first / 16u];
  if (group == UNTOUCHED) {
    return;
  }
  let lr = params.groups[group].x;
  let decay = params.groups[group].y;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    let w = weights[at];
    let d = gradients[at] + decay * w;
    let buffer = params.retained * buffers[at] + params.fresh * d;
    buffers[at] = buffer;
    weights[at] = w - lr * select(buffer, d + params.momentum * buffer, params.nesterov != 0u);
  }
}
