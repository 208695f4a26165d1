// y = x in half precision, packed in pairs: rounded as the driver does, infinite beyond 65,504.

const VECTORS: u32 = 4u;
// Replaced, so that what overflows is infinite on every driver: see PACK_HALVES.
fn pack(v: vec4f) -> vec2u { return vec2u(pack2x16float(v.xy), pack2x16float(v.zw)); }

struct Params {
  vectors: u32, // vec4s in x
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2u>;
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
      y[i] = pack(x[i]);
    }
  }
}
