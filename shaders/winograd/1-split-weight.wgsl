// Rung 1 of the Winograd ladder, second kernel: U = G g G^T of every pair of channels, four output channels an invocation.

struct Params {
  vectors: u32, // C K / 4
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(1) var<storage, read_write> u: array<vec4f>; // [16, C, K]
@group(0) @binding(2) var<uniform> params: Params;

alias Line = array<vec4f, 4>;

fn transform(a: vec4f, b: vec4f, c: vec4f) -> Line { return Line(a, 0.5 * (a + b + c), 0.5 * (a - b + c), c); }

fn column_of(s: u32, at: u32) -> Line {
  return transform(weight[s * params.vectors + at], weight[(3u + s) * params.vectors + at], weight[(6u + s) * params.vectors + at]);
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.vectors) { return; }
  let c0 = column_of(0u, at);
  let c1 = column_of(1u, at);
  let c2 = column_of(2u, at);
  store(0u, at, transform(c0[0], c1[0], c2[0]));
  store(4u, at, transform(c0[1], c1[1], c2[1]));
  store(8u, at, transform(c0[2], c1[2], c2[2]));
  store(12u, at, transform(c0[3], c1[3], c2[3]));
}

fn store(plane: u32, at: u32, row: Line) {
  u[plane * params.vectors + at] = row[0];
  u[(plane + 1u) * params.vectors + at] = row[1];
  u[(plane + 2u) * params.vectors + at] = row[2];
  u[(plane + 3u) * params.vectors + at] = row[3];
}
