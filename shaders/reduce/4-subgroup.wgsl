// Rung 4 of the reduction ladder: subgroupAdd instead of the tree. The lanes of a subgroup add their numbers through registers;
// one barrier is left, after which one invocation adds the few sums of the subgroups. Works with subgroups of any size.

enable subgroups;

struct Params {
  size: u32, // vec4s
  groups: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [groups]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>; // one for each subgroup: 64 at most

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  if (group >= params.groups) { return; }
  var sum = vec4f();
  for (var i = group * 64u + local; i < params.size; i += params.groups * 64u) {
    sum += x[i];
  }
  let total = subgroupAdd(sum.x + sum.y + sum.z + sum.w);
  if (lane == 0u) { sums[local / lanes] = total; }
  workgroupBarrier();
  if (local == 0u) {
    var all = 0.0;
    for (var i = 0u; i < (63u + lanes) / lanes; i++) { all += sums[i]; }
    y[group] = all;
  }
}
