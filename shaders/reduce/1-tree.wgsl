// Rung 1 of the reduction ladder: a workgroup adds 64 numbers as a tree. Each turn the lower half of the invocations that are left
// adds what the upper half holds in workgroup memory; the barrier keeps turns apart. What the workgroups found is added by the
// next dispatch, until one number is left.

struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [size / 64, rounded up]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let group = workgroup.x + workgroup.y * workgroups.x;
  let at = group * 64u + local;
  var sum = 0.0;
  if (at < params.size) { sum = x[at]; }
  sums[local] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u && group * 64u < params.size) { y[group] = sums[0]; }
}
