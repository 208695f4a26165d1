// Checks what the subgroup kernels rely on: that a one-dimensional workgroup of LANES invocations is one subgroup with its
// lanes in order, and that a broadcast and a shuffle deliver the value of the lane asked for. Writes 1 per invocation where all holds.
enable subgroups;

const LANES: u32 = 8u;

@group(0) @binding(0) var<storage, read_write> ok: array<u32>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let value = f32(lane) * 3.0 + 1.0;
  let first = subgroupBroadcast(value, 0u);
  let last = subgroupBroadcast(value, LANES - 1u);
  let second = subgroupShuffle(value, 1u);
  let right = size == LANES && lane == local && first == 1.0 && second == 4.0 && last == f32(LANES - 1u) * 3.0 + 1.0;
  ok[local] = select(0u, 1u, right);
}
