// SGD without momentum over all parameters at once: w -= lr * (g + decay * w).
// Parameters lie in blocks of 64 floats; `blocks` holds the group of each. One invocation updates a quarter of a block.

const VECTORS: u32 = 4u;
const UNTOUCHED: u32 = 255u; // padding and frozen parameters

struct Params {
  groups: array<vec4f, 8>, // of each parameter group: learning rate, weight decay
  vectors: u32,            // vec4s in weights, a multiple of 16
}

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

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
    weights[at] = w - lr * (gradients[at] + decay * w);
  }
}
