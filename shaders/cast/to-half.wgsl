// y = x in half precision, packed in pairs: rounded to nearest, infinite beyond 65,504.

const VECTORS: u32 = 4u;

struct Params {
  vectors: u32, // vec4s in x
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2u>;
@group(0) @binding(2) var<uniform> params: Params;

// pack2x16float() of what overflows may be anything (SwiftShader gives NaN), so infinity is put in by its bits. NaN stays as it is.
fn halves(v: vec2f) -> u32 {
  let large = abs(v) >= vec2f(65520.0);
  let infinity = ((bitcast<vec2u>(v) >> vec2u(16u)) & vec2u(0x8000u)) | vec2u(0x7c00u);
  let bits = select(vec2u(), infinity, large);
  return pack2x16float(select(v, vec2f(), large)) | bits.x | (bits.y << 16u);
}

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
      y[i] = vec2u(halves(x[i].xy), halves(x[i].zw));
    }
  }
}
