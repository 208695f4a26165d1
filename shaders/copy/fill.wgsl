// y = one value everywhere, given as bits.

const VECTORS: u32 = 4u;

struct Params {
  vectors: u32, // vec4s in y
  bits: u32,
}

@group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var i = 0u; i < VECTORS; i++) {
    if (first + i < params.vectors) {
      y[first + i] = vec4u(params.bits);
    }
  }
}
