// y = x, or with `combine` replaced y = y + x: in place, for flat gradient buffers. T is vec4u for copies, which keeps every
// bit of every type.

alias T = vec4u;
const VECTORS: u32 = 4u;

struct Params {
  vectors: u32, // vec4s in x
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

fn combine(i: u32) -> T { return x[i]; }

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
      y[i] = combine(i);
    }
  }
}
