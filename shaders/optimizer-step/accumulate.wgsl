// destination = source, or destination += source: how a parameter's gradient enters its range of the flat gradient buffer. The last vec4
// may reach past the parameter: what lies there is set to zero, because the gradient norm is taken over whole ranges.

const VECTORS: u32 = 4u;

struct Params {
  size: u32, // elements of source
}

@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

fn combine(before: vec4f, value: vec4f) -> vec4f { return before + value; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    if (at * 4u < params.size) {
      let inside = vec4u(at * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.size);
      destination[at] = select(vec4f(0.0), combine(destination[at], source[at]), inside);
    }
  }
}
