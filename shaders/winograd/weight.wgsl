// Winograd's transform of 3 x 3 weights: U = G g G^T for every pair of channels, four output channels an invocation. With
// `flip` the taps are turned around: for the input gradient, which convolves dy with turned weights. See input.wgsl.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;

struct Params {
  vectors: u32, // C K / 4
  flip: u32,    // 1: tap [r, s] counts as [2 - r, 2 - s]
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>;  // [3, 3, C, K]
@group(0) @binding(1) var<storage, read_write> u: array<vec4f>; // [SPAN * SPAN, C, K]
@group(0) @binding(2) var<uniform> params: Params;

// TILE 2 leaves the last two unused, and the compiler removes them.
alias Line = array<vec4f, 6>;

// G times a line of three taps.
fn transform(a: vec4f, b: vec4f, c: vec4f) -> Line {
  if (TILE == 2u) {
    let even = 0.5 * (a + c);
    let odd = 0.5 * b;
    return Line(a, even + odd, even - odd, c, vec4f(), vec4f());
  }
  let even = -81.0 / 130.0 * a - 36.0 / 130.0 * c;
  let odd = -54.0 / 130.0 * b;
  let outer_even = 8.0 / 65.0 * a + 18.0 / 65.0 * c;
  let outer_odd = 12.0 / 65.0 * b;
  return Line(a, even + odd, even - odd, outer_even + outer_odd, outer_even - outer_odd, c);
}

fn load(tap: u32, index: u32) -> vec4f {
  return weight[select(tap, 8u - tap, params.flip == 1u) * params.vectors + index];
}

fn store(i: u32, at: u32, a: vec4f, b: vec4f, c: vec4f) {
  let r = transform(a, b, c);
  let first = at + i * SPAN * params.vectors;
  u[first] = r[0];
  u[first + params.vectors] = r[1];
  u[first + 2u * params.vectors] = r[2];
  u[first + 3u * params.vectors] = r[3];
  if (TILE == 4u) {
    u[first + 4u * params.vectors] = r[4];
    u[first + 5u * params.vectors] = r[5];
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (index >= params.vectors) { return; }
  let c0 = transform(load(0u, index), load(3u, index), load(6u, index));
  let c1 = transform(load(1u, index), load(4u, index), load(7u, index));
  let c2 = transform(load(2u, index), load(5u, index), load(8u, index));
  store(0u, index, c0[0], c1[0], c2[0]);
  store(1u, index, c0[1], c1[1], c2[1]);
  store(2u, index, c0[2], c1[2], c2[2]);
  store(3u, index, c0[3], c1[3], c2[3]);
  if (TILE == 4u) {
    store(4u, index, c0[4], c1[4], c2[4]);
    store(5u, index, c0[5], c1[5], c2[5]);
  }
}
