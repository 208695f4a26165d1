// Dynamic loss scaling, third pass: gradients /= scale, and the table of groups for this step: everything untouched where it is skipped.
// One invocation a quarter of a block of 64 floats.

const VECTORS: u32 = 4u;
const UNTOUCHED: u32 = 255u; // padding and frozen parameters

struct Params {
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read> skips: array<u32>;
@group(0) @binding(2) var<storage, read> blocks: array<u32>;
@group(0) @binding(3) var<storage, read_write> active_blocks: array<u32>;
@group(0) @binding(4) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  let block = first / 16u;
  if (block >= params.blocks) { return; }
  if (first % 16u == 0u) { active_blocks[block] = select(blocks[block], UNTOUCHED, skips[1] == 1u); }
  for (var i = 0u; i < VECTORS; i++) { gradients[first + i] *= state[1]; }
}
