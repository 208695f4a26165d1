// Rung 1 of the Winograd ladder, last kernel: y = A^T m A of every tile, four output channels an invocation.

struct Params {
  size: vec4u, // N, H, W, K / 4 of y
}

@group(0) @binding(0) var<storage, read> m: array<vec4f>; // [16, tiles, K]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [N, H, W, K]
@group(0) @binding(2) var<uniform> params: Params;

alias Pair = array<vec4f, 2>;

fn transform(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> Pair { return Pair(a + b + c, b - c - d); }

fn column_of(at: u32, plane: u32) -> Pair {
  return transform(m[at], m[at + 4u * plane], m[at + 8u * plane], m[at + 12u * plane]);
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let K = params.size.w;
  let across = params.size.z / 2u;
  let down = params.size.y / 2u;
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let tile = at / K;
  let n = tile / (across * down);
  if (n >= params.size.x) { return; }
  let plane = params.size.x * across * down * K;
  let c0 = column_of(at, plane);
  let c1 = column_of(at + plane, plane);
  let c2 = column_of(at + 2u * plane, plane);
  let c3 = column_of(at + 3u * plane, plane);
  let top = transform(c0[0], c1[0], c2[0], c3[0]);
  let bottom = transform(c0[1], c1[1], c2[1], c3[1]);
  let row = tile / across % down * 2u;
  let column = tile % across * 2u;
  let first = ((n * params.size.y + row) * params.size.z + column) * K + at % K;
  y[first] = top[0];
  y[first + K] = top[1];
  y[first + params.size.z * K] = bottom[0];
  y[first + (params.size.z + 1u) * K] = bottom[1];
}
