// conv2d by implicit GEMM, for software GPUs: 3 x 3 taps with stride 1, forward and input gradient (the same sum, taps turned around).
//
//   y[n, p, q] = sum over r, s, c of x[n, p + origin + r spacing, q + origin + s spacing, c] weight[r, s, c]
//
// Loads are what costs on these adapters. A lane computes 8 neighbouring places of a row x 16 columns of y: the 10 pixels that it
// loads serve all three taps of a row, where gather-subgroup.wgsl loads each tap's again. All lanes need the same weights: each
// loads two of their 16 vec4s (at 8 lanes) and hands them to the others by broadcasts, each for 8 multiply-adds of vec4. So 64
// floats are loaded a lane for 8 x 16 x 3 x 4 multiply-adds: two thirds of what gather-subgroup.wgsl loads with 32 columns, half of
// what it loads with 16.
//
// With `stats` it also writes, per tile of 8 LANES places, every column's mean and sum of squared deviations: batch norm's partials.
enable subgroups;

const LANES: u32 = 8u;
alias Stored = vec4f; // vec2u where x and y are f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
  y_size: vec4u,  // N, height, width, K: of the output. K is a multiple of 4
  origin: vec2i,  // of tap 0 in x
  spacing: vec2i, // from one tap to the next: 1 or -1
  stats: u32,     // 1: write partials; the width of y is then a multiple of 8
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

// The sums of 8 places for one vec4 of columns: constant indices only, so that they become registers.
alias Sums = array<vec4f, 8>;

// The weights of 4 channels and 16 columns of a tap: 16 vec4s, spread over the lanes. At 8 lanes the last two are unused.
struct Spread { a: vec4f, b: vec4f, c: vec4f, d: vec4f }

// One vec4 of columns for each of the 4 channels, the same in all lanes.
struct Weights { x: vec4f, y: vec4f, z: vec4f, w: vec4f }

// Where the pixels are, and 1 or 0: outside of the image a pixel counts as zero.
struct Source { at: array<u32, 10>, inside: array<f32, 10> }

// subgroupBroadcast takes constant lanes only: hence a function for each column.
fn weights0(s: Spread) -> Weights {
  if (LANES == 4u) { return Weights(subgroupBroadcast(s.a, 0u), subgroupBroadcast(s.b, 0u), subgroupBroadcast(s.c, 0u), subgroupBroadcast(s.d, 0u)); }
  return Weights(subgroupBroadcast(s.a, 0u), subgroupBroadcast(s.a, 4u), subgroupBroadcast(s.b, 0u), subgroupBroadcast(s.b, 4u));
}

fn weights1(s: Spread) -> Weights {
  if (LANES == 4u) { return Weights(subgroupBroadcast(s.a, 1u), subgroupBroadcast(s.b, 1u), subgroupBroadcast(s.c, 1u), subgroupBroadcast(s.d, 1u)); }
  return Weights(subgroupBroadcast(s.a, 1u), subgroupBroadcast(s.a, 5u), subgroupBroadcast(s.b, 1u), subgroupBroadcast(s.b, 5u));
}

fn weights2(s: Spread) -> Weights {
  if (LANES == 4u) { return Weights(subgroupBroadcast(s.a, 2u), subgroupBroadcast(s.b, 2u), subgroupBroadcast(s.c, 2u), subgroupBroadcast(s.d, 2u)); }
  return Weights(subgroupBroadcast(s.a, 2u), subgroupBroadcast(s.a, 6u), subgroupBroadcast(s.b, 2u), subgroupBroadcast(s.b, 6u));
}

fn weights3(s: Spread) -> Weights {
  if (LANES == 4u) { return Weights(subgroupBroadcast(s.a, 3u), subgroupBroadcast(s.b, 3u), subgroupBroadcast(s.c, 3u), subgroupBroadcast(s.d, 3u)); }
  return Weights(subgroupBroadcast(s.a, 3u), subgroupBroadcast(s.a, 7u), subgroupBroadcast(s.b, 3u), subgroupBroadcast(s.b, 7u));
}

fn load_weights(at: u32, step: u32) -> Spread {
  if (LANES == 4u) { return Spread(weight[at], weight[at + step], weight[at + 2u * step], weight[at + 3u * step]); }
  return Spread(weight[at], weight[at + step], vec4f(), vec4f());
}

fn product(a: vec4f, w: Weights) -> vec4f { return a.x * w.x + a.y * w.y + a.z * w.z + a.w * w.w; }

// One tap: place i sees pixel i of those given.
fn accumulate(sums: ptr<function, Sums>, w: Weights, a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, a4: vec4f, a5: vec4f, a6: vec4f, a7: vec4f) {
  (*sums)[0] += product(a0, w);
  (*sums)[1] += product(a1, w);
  (*sums)[2] += product(a2, w);
  (*sums)[3] += product(a3, w);
  (*sums)[4] += product(a4, w);
  (*sums)[5] += product(a5, w);
  (*sums)[6] += product(a6, w);
  (*sums)[7] += product(a7, w);
}

// A lane's 8 places: image, row, first column. Past the last it repeats it, and nothing is stored.
fn segment(index: u32) -> vec3u {
  let segments = (params.y_size.z + 7u) / 8u;
  let i = min(index, params.y_size.x * params.y_size.y * segments - 1u);
  let row = i / segments;
  return vec3u(row / params.y_size.y, row % params.y_size.y, i % segments * 8u);
}

// Row r of the taps: the 10 pixels from the leftmost tap of the first place on.
fn source(place: vec3u, r: u32) -> Source {
  let row = i32(place.y) + params.origin.x + params.spacing.x * i32(r);
  let left = i32(place.z) + min(params.origin.y, params.origin.y + 2 * params.spacing.y);
  let first = (place.x * params.x_size.y + u32(row)) * params.x_size.z;
  var source: Source;
  for (var i = 0u; i < 10u; i++) {
    let column = left + i32(i);
    let inside = u32(row) < params.x_size.y && u32(column) < params.x_size.z;
    source.at[i] = select(0u, (first + u32(column)) * (params.x_size.w / 4u), inside);
    source.inside[i] = select(0.0, 1.0, inside);
  }
  return source;
}

fn store(sums: ptr<function, Sums>, place: vec3u, column: u32) {
  let columns = params.y_size.w / 4u;
  if (column >= columns) { return; }
  let at = ((place.x * params.y_size.y + place.y) * params.y_size.z + place.z) * columns + column;
  for (var i = 0u; i < 8u; i++) {
    if (place.z + i < params.y_size.z) { y[at + i * columns] = pack((*sums)[i]); }
  }
}

// Mean and squared deviations of the tile's places; `valid`: this lane's count among them.
fn store_partials(sums: ptr<function, Sums>, valid: bool, tile: u32, column: u32) {
  let columns = params.y_size.w / 4u;
  var sum = vec4f();
  for (var i = 0u; i < 8u; i++) { sum += (*sums)[i]; }
  let count = 8.0 * subgroupAdd(select(0.0, 1.0, valid));
  let mean = subgroupAdd(select(vec4f(), sum, valid)) / count;
  var squares = vec4f();
  for (var i = 0u; i < 8u; i++) {
    let d = (*sums)[i] - mean;
    squares += d * d;
  }
  let deviations = subgroupAdd(select(vec4f(), squares, valid));
  if (column < columns) {
    partials[tile * 2u * columns + column] = mean;
    partials[(tile * 2u + 1u) * columns + column] = deviations;
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.y_size.w / 4u;
  let column_tiles = (columns + 3u) / 4u;
  let segments = params.y_size.x * params.y_size.y * ((params.y_size.z + 7u) / 8u);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let tile = group / column_tiles;
  if (tile * LANES >= segments) { return; }
  let column = group % column_tiles * 4u;
  let place = segment(tile * LANES + lane);

  // Lane by lane, a tap's weights: 4 columns of a channel, then the next channel's.
  let own = lane / 4u * columns + min(column + lane % 4u, columns - 1u);
  let step = LANES / 4u * columns;
  let reversed = params.spacing.y < 0;

  var s0: Sums; var s1: Sums; var s2: Sums; var s3: Sums;
  let quads = params.x_size.w / 4u;
  var pixels: Source;
  var c = 0u;
  // One loop, not one for rows and one for channels: every loop carries all accumulators through a mask.
  for (var i = 0u; i < 3u * quads; i++) {
    if (c == 0u) { pixels = source(place, i / quads); }
    let first = (2u * (i - c) + i) * 4u * columns + own; // of 3 taps x C rows of weights, channel 4 c
    let tap = 4u * quads * columns;
    let l = load_weights(first + select(0u, 2u, reversed) * tap, step);
    let m = load_weights(first + tap, step);
    let n = load_weights(first + select(2u, 0u, reversed) * tap, step);
    let a0 = unpack(x[pixels.at[0] + c]) * pixels.inside[0];
    let a1 = unpack(x[pixels.at[1] + c]) * pixels.inside[1];
    let a2 = unpack(x[pixels.at[2] + c]) * pixels.inside[2];
    let a3 = unpack(x[pixels.at[3] + c]) * pixels.inside[3];
    let a4 = unpack(x[pixels.at[4] + c]) * pixels.inside[4];
    let a5 = unpack(x[pixels.at[5] + c]) * pixels.inside[5];
    let a6 = unpack(x[pixels.at[6] + c]) * pixels.inside[6];
    let a7 = unpack(x[pixels.at[7] + c]) * pixels.inside[7];
    let a8 = unpack(x[pixels.at[8] + c]) * pixels.inside[8];
    let a9 = unpack(x[pixels.at[9] + c]) * pixels.inside[9];
    accumulate(&s0, weights0(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s1, weights1(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s2, weights2(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s3, weights3(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s0, weights0(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s1, weights1(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s2, weights2(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s3, weights3(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s0, weights0(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s1, weights1(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s2, weights2(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s3, weights3(n), a2, a3, a4, a5, a6, a7, a8, a9);
    c++;
    if (c == quads) { c = 0u; }
  }
  let valid = tile * LANES + lane < segments;
  if (params.stats == 1u) {
    store_partials(&s0, valid, tile, column);
    store_partials(&s1, valid, tile, column + 1u);
    store_partials(&s2, valid, tile, column + 2u);
    store_partials(&s3, valid, tile, column + 3u);
  }
  if (!valid) { return; }
  store(&s0, place, column);
  store(&s1, place, column + 1u);
  store(&s2, place, column + 2u);
  store(&s3, place, column + 3u);
}
