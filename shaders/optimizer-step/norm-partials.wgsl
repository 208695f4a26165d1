// The sum of squares of the flat gradients, first pass: one partial sum a workgroup, always added in the same order.

var<workgroup> sums: array<f32, 64>;

struct Params {
  vectors: u32, // vec4s in gradients, a multiple of 16
}

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  var sum = vec4f(0.0);
  for (var at = workgroup.x * 64u + local; at < params.vectors; at += workgroups.x * 64u) {
    let g = gradients[at];
    sum += select(g * g, vec4f(0.0), blocks[at / 16u] == 255u);
  }
  sums[local] = sum.x + sum.y + sum.z + sum.w;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
    }
  }
  if (local == 0u) {
    partials[workgroup.x] = sums[0];
  }
}
