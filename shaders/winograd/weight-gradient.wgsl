// The gradient of weight.wgsl: dweight = G^T du G for every pair of channels, four output channels an invocation.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;

// Whether the loop over a tile's columns must stay one: see input.wgsl. Its end is then one that the compiler does not know. (With
// such an end Tint guards a loop against running forever; real GPUs need not pay for that.)
const ROLLED: bool = false;

struct Params {
  vectors: u32, // C K / 4
  span: u32,    // SPAN
}

@group(0) @binding(0) var<storage, read> du: array<vec4f>; // [SPAN * SPAN, C, K]
@group(0) @binding(1) var<storage, read_write> dweight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<uniform> params: Params;

// TILE 2 leaves the last two unused, and the compiler removes them.
alias Line = array<vec4f, 6>;
alias Taps = array<vec4f, 3>;

// G^T times a line.
fn transform(u: Line) -> Taps {
  let even = u[1] + u[2];
  let odd = u[1] - u[2];
  if (TILE == 2u) {
    return Taps(u[0] + 0.5 * even, 0.5 * odd, 0.5 * even + u[3]);
  }
  let outer_even = u[3] + u[4];
  let outer_odd = u[3] - u[4];
  return Taps(
    u[0] - 81.0 / 130.0 * even + 8.0 / 65.0 * outer_even,
    12.0 / 65.0 * outer_odd - 54.0 / 130.0 * odd,
    18.0 / 65.0 * outer_even - 36.0 / 130.0 * even + u[5],
  );
}

fn load(index: u32, i: u32, j: u32) -> vec4f {
  return du[index + (i * SPAN + j) * params.vectors];
}

fn column(index: u32, j: u32) -> Taps {
  if (TILE == 2u) {
    return transform(Line(load(index, 0u, j), load(index, 1u, j), load(index, 2u, j), load(index, 3u, j), vec4f(), vec4f()));
  }
  return transform(Line(load(index, 0u, j), load(index, 1u, j), load(index, 2u, j), load(index, 3u, j), load(index, 4u, j), load(index, 5u, j)));
}

fn store(index: u32, r: u32, row: Line) {
  let taps = transform(row);
  dweight[index + 3u * r * params.vectors] = taps[0];
  dweight[index + (3u * r + 1u) * params.vectors] = taps[1];
  dweight[index + (3u * r + 2u) * params.vectors] = taps[2];
}

// The columns of a tile, transformed: the last SPAN that were pushed.
struct Columns { c0: Taps, c1: Taps, c2: Taps, c3: Taps, c4: Taps, c5: Taps }

fn push(c: ptr<function, Columns>, next: Taps) {
  (*c).c0 = (*c).c1;
  (*c).c1 = (*c).c2;
  (*c).c2 = (*c).c3;
  (*c).c3 = (*c).c4;
  if (TILE == 2u) { (*c).c3 = next; }
  (*c).c4 = (*c).c5;
  (*c).c5 = next;
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (index >= params.vectors) { return; }
  var c: Columns;
  if (ROLLED) {
    for (var j = 0u; j < params.span; j++) { push(&c, column(index, j)); }
  } else {
    for (var j = 0u; j < SPAN; j++) { push(&c, column(index, j)); }
  }
  store(index, 0u, Line(c.c0[0], c.c1[0], c.c2[0], c.c3[0], c.c4[0], c.c5[0]));
  store(index, 1u, Line(c.c0[1], c.c1[1], c.c2[1], c.c3[1], c.c4[1], c.c5[1]));
  store(index, 2u, Line(c.c0[2], c.c1[2], c.c2[2], c.c3[2], c.c4[2], c.c5[2]));
}
