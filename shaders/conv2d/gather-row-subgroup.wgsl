// conv2d by implicit GEMM, for software GPUs: 3 x 3 taps with stride 1, forward and input gradient (the same sum, taps turned around).
//
//   y[n, p, q] = sum over r, s, c of x[n, p + origin + r spacing, q + origin + s spacing, c] weight[r, s, c]
//
// Loads are what costs on these adapters. A lane computes 8 neighbouring places of a row x 16 or 32 columns of y: the 10 pixels that it
// loads serve all three taps of a row, where gather-subgroup.wgsl loads each tap's again. All lanes need the same weights: each
// loads a part of them and hands it to the others by shuffles, each for 8 multiply-adds of vec4. For 32 columns 44 floats are loaded a
// lane for 8 x 32 x 3 x 2 multiply-adds: less than half of what gather-subgroup.wgsl loads. Two channels a turn, not four: half of the
// code, which then leaves room for twice the columns in the cache for instructions.
//
// With `stats` it also writes, per tile of 8 LANES places, every column's mean and sum of squared deviations: batch norm's partials.
enable subgroups;

const LANES: u32 = 8u;
const COLUMNS: u32 = 8u; // vec4s of columns that a lane computes: 8 or 4
alias Pair = vec2f; // u32 where x is f16
fn unpack_pair(v: Pair) -> vec2f { return v; }
alias Stored = vec4f; // vec2u where y is f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
  y_size: vec4u,  // N, height, width, K: of the output. K is a multiple of 4
  origin: vec2i,  // of tap 0 in x
  spacing: vec2i, // from one tap to the next: 1 or -1
  stats: u32,     // 1: write partials; the width of y is then a multiple of 8
  adds: u32,      // 1: add to y
}

@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

// May load a texel instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Pair { return x[i]; }

// The sums of 8 places for one vec4 of columns: constant indices only, so that they become registers.
alias Sums = array<vec4f, 8>;

// The weights of 2 channels and COLUMNS vec4s of columns of a tap, spread over the lanes; the last ones may be unused.
alias Spread = array<vec4f, 4>;

// One vec4 of columns for each of the 2 channels, the same in all lanes.
struct Weights { x: vec4f, y: vec4f }

// Where the pixels are, and 1 or 0: outside of the image a pixel counts as zero.
struct Source { at: array<u32, 10>, inside: array<f32, 10> }

// A function for each column, since lanes are constants: then a shuffle is a broadcast.
fn weights0(s: Spread) -> Weights { return Weights(subgroupShuffle(s[0u / LANES], 0u % LANES), subgroupShuffle(s[(COLUMNS + 0u) / LANES], (COLUMNS + 0u) % LANES)); }
fn weights1(s: Spread) -> Weights { return Weights(subgroupShuffle(s[1u / LANES], 1u % LANES), subgroupShuffle(s[(COLUMNS + 1u) / LANES], (COLUMNS + 1u) % LANES)); }
fn weights2(s: Spread) -> Weights { return Weights(subgroupShuffle(s[2u / LANES], 2u % LANES), subgroupShuffle(s[(COLUMNS + 2u) / LANES], (COLUMNS + 2u) % LANES)); }
fn weights3(s: Spread) -> Weights { return Weights(subgroupShuffle(s[3u / LANES], 3u % LANES), subgroupShuffle(s[(COLUMNS + 3u) / LANES], (COLUMNS + 3u) % LANES)); }
fn weights4(s: Spread) -> Weights { return Weights(subgroupShuffle(s[4u / LANES], 4u % LANES), subgroupShuffle(s[(COLUMNS + 4u) / LANES], (COLUMNS + 4u) % LANES)); }
fn weights5(s: Spread) -> Weights { return Weights(subgroupShuffle(s[5u / LANES], 5u % LANES), subgroupShuffle(s[(COLUMNS + 5u) / LANES], (COLUMNS + 5u) % LANES)); }
fn weights6(s: Spread) -> Weights { return Weights(subgroupShuffle(s[6u / LANES], 6u % LANES), subgroupShuffle(s[(COLUMNS + 6u) / LANES], (COLUMNS + 6u) % LANES)); }
fn weights7(s: Spread) -> Weights { return Weights(subgroupShuffle(s[7u / LANES], 7u % LANES), subgroupShuffle(s[(COLUMNS + 7u) / LANES], (COLUMNS + 7u) % LANES)); }

// `own`: where this lane's vec4s of the spread are, from the tap's first on.
fn load_weights(at: u32, own: vec4u) -> Spread {
  var s = Spread(weight[at + own.x], vec4f(), vec4f(), vec4f());
  if (2u * COLUMNS > LANES) { s[1] = weight[at + own.y]; }
  if (2u * COLUMNS > 2u * LANES) {
    s[2] = weight[at + own.z];
    s[3] = weight[at + own.w];
  }
  return s;
}

fn own_weight(j: u32, lane: u32, column: u32) -> u32 {
  let columns = params.y_size.w / 4u;
  let e = j * LANES + lane;
  return e / COLUMNS * columns + min(column + e % COLUMNS, columns - 1u);
}

fn product(a: vec2f, w: Weights) -> vec4f { return a.x * w.x + a.y * w.y; }

// One tap: place i sees pixel i of those given.
fn accumulate(sums: ptr<function, Sums>, w: Weights, a0: vec2f, a1: vec2f, a2: vec2f, a3: vec2f, a4: vec2f, a5: vec2f, a6: vec2f, a7: vec2f) {
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
    source.at[i] = select(0u, (first + u32(column)) * (params.x_size.w / 2u), inside);
    source.inside[i] = select(0.0, 1.0, inside);
  }
  return source;
}

fn store(sums: ptr<function, Sums>, place: vec3u, column: u32) {
  let columns = params.y_size.w / 4u;
  let at = ((place.x * params.y_size.y + place.y) * params.y_size.z + place.z) * columns + column;
  for (var i = 0u; i < 8u; i++) {
    if (place.z + i < params.y_size.z) {
      var value = (*sums)[i];
      if (params.adds == 1u) { value += unpack(y[at + i * columns]); }
      y[at + i * columns] = pack(value);
    }
  }
}

// The sum over all lanes, in all lanes. On lavapipe subgroupAdd is several times as much code as these shuffles.
fn over_lanes(value: vec4f) -> vec4f {
  var sum = value;
  if (LANES > 4u) { sum += subgroupShuffleXor(sum, 4u); }
  sum += subgroupShuffleXor(sum, 2u);
  return sum + subgroupShuffleXor(sum, 1u);
}

// Mean and squared deviations of the tile's places: those of the first `valid` lanes.
fn store_partials(sums: ptr<function, Sums>, lane: u32, valid: u32, tile: u32, column: u32) {
  let columns = params.y_size.w / 4u;
  var sum = vec4f();
  for (var i = 0u; i < 8u; i++) { sum += (*sums)[i]; }
  let mean = over_lanes(select(vec4f(), sum, lane < valid)) / (8.0 * f32(valid));
  var squares = vec4f();
  for (var i = 0u; i < 8u; i++) {
    let d = (*sums)[i] - mean;
    squares += d * d;
  }
  let deviations = over_lanes(select(vec4f(), squares, lane < valid));
  partials[tile * 2u * columns + column] = mean;
  partials[(tile * 2u + 1u) * columns + column] = deviations;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.y_size.w / 4u;
  let column_tiles = (columns + COLUMNS - 1u) / COLUMNS;
  let segments = params.y_size.x * params.y_size.y * ((params.y_size.z + 7u) / 8u);
  let group = workgroup.x + workgroup.y * workgroups.x;
  let tile = group / column_tiles;
  if (tile * LANES >= segments) { return; }
  let column = group % column_tiles * COLUMNS;
  let place = segment(tile * LANES + lane);

  let own = vec4u(own_weight(0u, lane, column), own_weight(1u, lane, column), own_weight(2u, lane, column), own_weight(3u, lane, column));
  let reversed = params.spacing.y < 0;

  var s0: Sums; var s1: Sums; var s2: Sums; var s3: Sums; var s4: Sums; var s5: Sums; var s6: Sums; var s7: Sums;
  let pairs = params.x_size.w / 2u;
  var pixels: Source;
  var c = 0u;
  // One loop, not one for rows and one for channels: every loop carries all accumulators through a mask.
  for (var i = 0u; i < 3u * pairs; i++) {
    if (c == 0u) { pixels = source(place, i / pairs); }
    let first = (2u * (i - c) + i) * 2u * columns; // of 3 taps x C rows of weights, channel 2 c
    let tap = 2u * pairs * columns;
    let l = load_weights(first + select(0u, 2u, reversed) * tap, own);
    let m = load_weights(first + tap, own);
    let n = load_weights(first + select(2u, 0u, reversed) * tap, own);
    let a0 = unpack_pair(load_x(pixels.at[0] + c)) * pixels.inside[0];
    let a1 = unpack_pair(load_x(pixels.at[1] + c)) * pixels.inside[1];
    let a2 = unpack_pair(load_x(pixels.at[2] + c)) * pixels.inside[2];
    let a3 = unpack_pair(load_x(pixels.at[3] + c)) * pixels.inside[3];
    let a4 = unpack_pair(load_x(pixels.at[4] + c)) * pixels.inside[4];
    let a5 = unpack_pair(load_x(pixels.at[5] + c)) * pixels.inside[5];
    let a6 = unpack_pair(load_x(pixels.at[6] + c)) * pixels.inside[6];
    let a7 = unpack_pair(load_x(pixels.at[7] + c)) * pixels.inside[7];
    let a8 = unpack_pair(load_x(pixels.at[8] + c)) * pixels.inside[8];
    let a9 = unpack_pair(load_x(pixels.at[9] + c)) * pixels.inside[9];
    accumulate(&s0, weights0(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s1, weights1(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s2, weights2(l), a0, a1, a2, a3, a4, a5, a6, a7);
    accumulate(&s3, weights3(l), a0, a1, a2, a3, a4, a5, a6, a7);
    if (COLUMNS > 4u) {
      accumulate(&s4, weights4(l), a0, a1, a2, a3, a4, a5, a6, a7);
      accumulate(&s5, weights5(l), a0, a1, a2, a3, a4, a5, a6, a7);
      accumulate(&s6, weights6(l), a0, a1, a2, a3, a4, a5, a6, a7);
      accumulate(&s7, weights7(l), a0, a1, a2, a3, a4, a5, a6, a7);
    }
    accumulate(&s0, weights0(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s1, weights1(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s2, weights2(m), a1, a2, a3, a4, a5, a6, a7, a8);
    accumulate(&s3, weights3(m), a1, a2, a3, a4, a5, a6, a7, a8);
    if (COLUMNS > 4u) {
      accumulate(&s4, weights4(m), a1, a2, a3, a4, a5, a6, a7, a8);
      accumulate(&s5, weights5(m), a1, a2, a3, a4, a5, a6, a7, a8);
      accumulate(&s6, weights6(m), a1, a2, a3, a4, a5, a6, a7, a8);
      accumulate(&s7, weights7(m), a1, a2, a3, a4, a5, a6, a7, a8);
    }
    accumulate(&s0, weights0(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s1, weights1(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s2, weights2(n), a2, a3, a4, a5, a6, a7, a8, a9);
    accumulate(&s3, weights3(n), a2, a3, a4, a5, a6, a7, a8, a9);
    if (COLUMNS > 4u) {
      accumulate(&s4, weights4(n), a2, a3, a4, a5, a6, a7, a8, a9);
      accumulate(&s5, weights5(n), a2, a3, a4, a5, a6, a7, a8, a9);
      accumulate(&s6, weights6(n), a2, a3, a4, a5, a6, a7, a8, a9);
      accumulate(&s7, weights7(n), a2, a3, a4, a5, a6, a7, a8, a9);
    }
    c++;
    if (c == pairs) { c = 0u; }
  }
  let valid = min(LANES, segments - tile * LANES);
  // A loop that stays one, since the compiler does not know its end: a copy of what stands in it for each column took longer to compile
  // than all else, and longer to run, than moving the sums up.
  for (var k = 0u; k < min(COLUMNS, columns - column); k++) {
    if (params.stats == 1u) { store_partials(&s0, lane, valid, tile, column + k); }
    if (lane < valid) { store(&s0, place, column + k); }
    s0 = s1; s1 = s2; s2 = s3;
    if (COLUMNS > 4u) { s3 = s4; s4 = s5; s5 = s6; s6 = s7; }
  }
}
