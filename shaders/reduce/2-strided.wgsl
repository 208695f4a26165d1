// Rung 2 of the reduction ladder: before the tree, each invocation adds its own share in a register. The share's elements lie
// 64 * groups apart, so that at every moment neighbouring invocations read neighbouring addresses. One tree for thousands of
// numbers instead of 64, and two dispatches in all.

struct Params {
  size: u32,
  groups: u32, // workgroups that share the work
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [groups]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  if (group >= params.groups) { return; }
  var sum = 0.0;
  for (var i = group * 64u + local; i < params.size; i += params.groups * 64u) {
    sum += x[i];
  }
  sums[local] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u) { y[group] = sums[0]; }
}
