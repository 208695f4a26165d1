// Rung 3 of the reduction ladder: the same with vec4 loads. A quarter of the loads, and four sums an invocation that do not wait
// for each other. The size must be a multiple of 4.

struct Params {
  size: u32, // vec4s
  groups: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
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
  var sum = vec4f();
  for (var i = group * 64u + local; i < params.size; i += params.groups * 64u) {
    sum += x[i];
  }
  sums[local] = sum.x + sum.y + sum.z + sum.w;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u) { y[group] = sums[0]; }
}
