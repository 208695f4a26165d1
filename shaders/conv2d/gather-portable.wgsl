// conv2d by implicit GEMM, forward pass and input gradient, without subgroups or workgroup memory: runs on any adapter.
//
//   y[n, out] = sum over taps and c of x[n, in(out, tap)] weight[tap, c]       in = place * step + (origin + tap * spacing) / divisor
//
// One invocation computes 8 places x 2 vec4 of columns of y, seen as the matrix [places, K], in registers: 16 vec4s loaded for
// 64 vec4 multiply-adds. Loading all of a step before its first multiply-add is what lets the loads overlap. Neighbouring
// invocations take neighbouring columns of the same places, so that a GPU's loads of weights are contiguous.

alias Stored = vec4f; // vec2u where x and y are f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
  y_size: vec4u,  // N, height, width, K: of the whole output
  places: vec2u,  // rows and columns of places that this dispatch computes: all of y, or one phase of dx
  taps: vec2u,    // R, S
  step: vec2i,    // from one place to the next in x
  origin: vec2i,  // of tap 0 in x, times divisor
  spacing: vec2i, // from one tap to the next in x, times divisor
  divisor: vec2i, // taps whose position it does not divide contribute nothing
  spread: vec2u,  // from one place to the next in y
  phase: vec2u,   // first place in y
  adds: u32,      // 1: add to y
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [R, S, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

// The 4 x 2 vec4 of weights of a step: 4 channels, 2 vec4 of columns.
struct Weights { x0: vec4f, y0: vec4f, z0: vec4f, w0: vec4f, x1: vec4f, y1: vec4f, z1: vec4f, w1: vec4f }

// A place's sums.
struct Sums { c0: vec4f, c1: vec4f }

fn accumulate(sums: ptr<function, Sums>, a: vec4f, w: Weights) {
  (*sums).c0 += a.x * w.x0 + a.y * w.y0 + a.z * w.z0 + a.w * w.w0;
  (*sums).c1 += a.x * w.x1 + a.y * w.y1 + a.z * w.z1 + a.w * w.w1;
}

fn place_count() -> u32 { return params.y_size.x * params.places.x * params.places.y; }

// A place: its image, row and column.
fn place(index: u32) -> vec3u {
  let i = min(index, place_count() - 1u);
  let row = i / params.places.y;
  return vec3u(row / params.places.x, row % params.places.x, i % params.places.y);
}

// Where a tap's channels start in x; outside of the image the value counts as zero.
struct Source { at: u32, inside: bool }

fn source(place: vec3u, offset: vec2i) -> Source {
  let at = vec2i(place.yz) * params.step + offset;
  let inside = u32(at.x) < params.x_size.y && u32(at.y) < params.x_size.z;
  let index = ((place.x * params.x_size.y + u32(at.x)) * params.x_size.z + u32(at.y)) * (params.x_size.w / 4u);
  return Source(select(0u, index, inside), inside);
}

fn put(at: u32, sum: vec4f) {
  var value = sum;
  if (params.adds == 1u) { value += unpack(y[at]); }
  y[at] = pack(value);
}

fn store(index: u32, column: u32, sums: Sums) {
  if (index >= place_count()) { return; }
  let columns = params.y_size.w / 4u;
  let at = place(index);
  let target_place = at.yz * params.spread + params.phase;
  let row = ((at.x * params.y_size.y + target_place.x) * params.y_size.z + target_place.y) * columns;
  put(row + column, sums.c0);
  if (column + 1u < columns) { put(row + column + 1u, sums.c1); }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let columns = params.y_size.w / 4u;
  let pairs = (columns + 1u) / 2u;
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let first = index / pairs * 8u;
  if (first >= place_count()) { return; }
  let column = index % pairs * 2u;
  let next = min(column + 1u, columns - 1u) - column;

  let p0 = place(first + 0u);
  let p1 = place(first + 1u);
  let p2 = place(first + 2u);
  let p3 = place(first + 3u);
  let p4 = place(first + 4u);
  let p5 = place(first + 5u);
  let p6 = place(first + 6u);
  let p7 = place(first + 7u);
  var t0: Sums; var t1: Sums; var t2: Sums; var t3: Sums; var t4: Sums; var t5: Sums; var t6: Sums; var t7: Sums;
  for (var tap = 0u; tap < params.taps.x * params.taps.y; tap++) {
    let position = params.origin + params.spacing * vec2i(vec2u(tap / params.taps.y, tap % params.taps.y));
    if (any(position % params.divisor != vec2i(0))) { continue; }
    let offset = position / params.divisor;
    let s0 = source(p0, offset);
    let s1 = source(p1, offset);
    let s2 = source(p2, offset);
    let s3 = source(p3, offset);
    let s4 = source(p4, offset);
    let s5 = source(p5, offset);
    let s6 = source(p6, offset);
    let s7 = source(p7, offset);
    for (var c = 0u; c < params.x_size.w / 4u; c++) {
      let at = (tap * params.x_size.w + c * 4u) * columns + column;
      let w = Weights(
        weight[at], weight[at + columns], weight[at + 2u * columns], weight[at + 3u * columns],
        weight[at + next], weight[at + columns + next], weight[at + 2u * columns + next], weight[at + 3u * columns + next],
      );
      let a0 = select(vec4f(), unpack(x[s0.at + c]), s0.inside);
      let a1 = select(vec4f(), unpack(x[s1.at + c]), s1.inside);
      let a2 = select(vec4f(), unpack(x[s2.at + c]), s2.inside);
      let a3 = select(vec4f(), unpack(x[s3.at + c]), s3.inside);
      let a4 = select(vec4f(), unpack(x[s4.at + c]), s4.inside);
      let a5 = select(vec4f(), unpack(x[s5.at + c]), s5.inside);
      let a6 = select(vec4f(), unpack(x[s6.at + c]), s6.inside);
      let a7 = select(vec4f(), unpack(x[s7.at + c]), s7.inside);
      accumulate(&t0, a0, w);
      accumulate(&t1, a1, w);
      accumulate(&t2, a2, w);
      accumulate(&t3, a3, w);
      accumulate(&t4, a4, w);
      accumulate(&t5, a5, w);
      accumulate(&t6, a6, w);
      accumulate(&t7, a7, w);
    }
  }
  store(first + 0u, column, t0);
  store(first + 1u, column, t1);
  store(first + 2u, column, t2);
  store(first + 3u, column, t3);
  store(first + 4u, column, t4);
  store(first + 5u, column, t5);
  store(first + 6u, column, t6);
  store(first + 7u, column, t7);
}
