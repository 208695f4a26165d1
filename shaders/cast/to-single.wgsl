// y = x, from half precision packed in pairs: exact.

const VECTORS: u32 = 4u;

struct Params {
  vectors: u32, // vec4s in y
}

@group(0) @binding(0) var<storage, read> x: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var v = 0u; v < VECTORS; v++) {
    let i = first + v;
    if (i < params.vectors) {
      y[i] = vec4f(unpack2x16float(x[i].x), unpack2x16float(x[i].y));
    }
  }
}
