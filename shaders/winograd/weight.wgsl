// Winograd's transform of 3 x 3 weights: U = G g G^T for every pair of channels, four output channels an invocation. See input.wgsl.
//
// IN_BLOCKS stores 4 x 4 channels side by side, as multiply.wgsl wants to load them: the forward pass by rows of a block, the input
// gradient by its columns. Four invocations beside each other then take the rows of a block.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;
const IN_BLOCKS: bool = false;

struct Params {
  vectors: u32, // C K / 4
  columns: u32, // K / 4
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>;  // [3, 3, C, K]
@group(0) @binding(1) var<storage, read_write> u: array<vec4f>; // [SPAN * SPAN, C, K], or [SPAN * SPAN, C / 4, K / 4, 4, 4]
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
  return weight[tap * params.vectors + index];
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
  let block = index / 4u;
  let from_block = (block / params.columns * 4u + index % 4u) * params.columns + block % params.columns;
  let at = select(index, from_block, IN_BLOCKS);
  let c0 = transform(load(0u, at), load(3u, at), load(6u, at));
  let c1 = transform(load(1u, at), load(4u, at), load(7u, at));
  let c2 = transform(load(2u, at), load(5u, at), load(8u, at));
  store(0u, index, c0[0], c1[0], c2[0]);
  store(1u, index, c0[1], c1[1], c2[1]);
  store(2u, index, c0[2], c1[2], c2[2]);
  store(3u, index, c0[3], c1[3], c2[3]);
  if (TILE == 4u) {
    store(4u, index, c0[4], c1[4], c2[4]);
    store(5u, index, c0[5], c1[5], c2[5]);
  }
}
