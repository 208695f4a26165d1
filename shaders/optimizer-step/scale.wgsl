// gradients *= factor[1], the clipping coefficient, which stays on the device.

const VECTORS: u32 = 4u;

struct Params {
  vectors: u32,
}

@group(0) @binding(0) var<storage, read> factor: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  let coefficient = factor[1];
  for (var i = 0u; i < VECTORS; i++) {
    if (first + i < params.vectors) {
      gradients[first + i] *= coefficient;
    }
  }
}
