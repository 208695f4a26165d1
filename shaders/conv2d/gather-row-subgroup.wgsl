// conv2d by implicit GEMM, for software GPUs: 3 x 3 taps with stride 1, forward and input gradient (the same sum, taps turned around).
//
//   y[n, p, q] = sum over r, s, c of x[n, p + origin + r spacing, q + origin + s spacing, c] weight[r, s, c]
//
// Loads are what costs on these adapters. A lane computes 8 neighbouring places x 16 or 32 columns of y: the 10 pixels that it loads for
// 8 places of a row serve all three taps of a row, where gather-subgroup.wgsl loads each tap's again. All lanes need the same weights:
// each loads a part of them and hands it to the others by shuffles, each for 8 multiply-adds of vec4. Two channels a turn and 16 columns:
// the loop is 20 KB of code, and stays in the 32 KB that most cores have for it. (docs/kernels/convolution.md has what happens to
// loops that do not.)
//
// With `stats` it also writes, per tile of 8 LANES places, every column's mean and sum of squared deviations: batch norm's partials.
enable subgroups;

const LANES: u32 = 8u;
const COLUMNS: u32 = 4u; // vec4s of columns that a lane computes: 4 or 8
const WIDTH: u32 = 8u;   // of a lane's places: 8 of a row, or 4 of each of two rows
const ROWS = 8u / WIDTH;
const SPAN = WIDTH + 2u; // pixels of a row that the places and their taps meet
const PIXELS = ROWS * SPAN;
const GAP = PIXELS - 10u; // of the first row's last taps, before the pixels of place 4 in a second row
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
  stats: u32,     // 1: write partials; y then divides into blocks of ROWS x WIDTH
  adds: u32,      // 1: add to y
  tiles: u32,     // of 8 LANES places
  together: u32,  // tiles of columns that are computed in turn for each tile of places: their weights stay in the cache meanwhile
}

@group(0) @binding(0) var<storage, read> x: array<Pair>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

// May load texels instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Pair { return x[i]; }
fn load_weight(i: u32) -> vec4f { return weight[i]; }

// The sums of 8 places for one vec4 of columns: constant indices only, so that they become registers.
alias Sums = array<vec4f, 8>;

// The weights of 2 channels and COLUMNS vec4s of columns of a tap, spread over the lanes; the last ones may be unused.
alias Spread = array<vec4f, 4>;

// One vec4 of columns for each of the 2 channels, the same in all lanes.
struct Weights { x: vec4f, y: vec4f }

// A lane's pixels: those of its first row, from the leftmost tap of the first place on, then those of the second.
alias Pixels = array<vec2f, PIXELS>;

// Where they are; outside of the image a pixel counts as zero.
struct Source { at: array<u32, PIXELS>, inside: array<bool, PIXELS> }

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
  var s = Spread(load_weight(at + own.x), vec4f(), vec4f(), vec4f());
  if (2u * COLUMNS > LANES) { s[1] = load_weight(at + own.y); }
  if (2u * COLUMNS > 2u * LANES) {
    s[2] = load_weight(at + own.z);
    s[3] = load_weight(at + own.w);
  }
  return s;
}

fn own_weight(j: u32, lane: u32, column: u32) -> u32 {
  let columns = params.y_size.w / 4u;
  let e = j * LANES + lane;
  return e / COLUMNS * columns + min(column + e % COLUMNS, columns - 1u);
}

fn product(a: vec2f, w: Weights) -> vec4f { return a.x * w.x + a.y * w.y; }

// The three taps of a row, from left to right.
fn accumulate(sums: ptr<function, Sums>, l: Weights, m: Weights, n: Weights, a: ptr<function, Pixels>) {
  (*sums)[0] += product((*a)[0], l) + product((*a)[1], m) + product((*a)[2], n);
  (*sums)[1] += product((*a)[1], l) + product((*a)[2], m) + product((*a)[3], n);
  (*sums)[2] += product((*a)[2], l) + product((*a)[3], m) + product((*a)[4], n);
  (*sums)[3] += product((*a)[3], l) + product((*a)[4], m) + product((*a)[5], n);
  (*sums)[4] += product((*a)[GAP + 4u], l) + product((*a)[GAP + 5u], m) + product((*a)[GAP + 6u], n);
  (*sums)[5] += product((*a)[GAP + 5u], l) + product((*a)[GAP + 6u], m) + product((*a)[GAP + 7u], n);
  (*sums)[6] += product((*a)[GAP + 6u], l) + product((*a)[GAP + 7u], m) + product((*a)[GAP + 8u], n);
  (*sums)[7] += product((*a)[GAP + 7u], l) + product((*a)[GAP + 8u], m) + product((*a)[GAP + 9u], n);
}

// A lane's places: image, first row, first column. Past the last it repeats them, and nothing is stored.
fn segment(index: u32) -> vec3u {
  let rows = (params.y_size.y + ROWS - 1u) / ROWS;
  let segments = (params.y_size.z + WIDTH - 1u) / WIDTH;
  let i = min(index, params.y_size.x * rows * segments - 1u);
  let row = i / segments;
  return vec3u(row / rows, row % rows * ROWS, i % segments * WIDTH);
}

// The pixels under row r of the taps.
fn source(place: vec3u, r: u32) -> Source {
  let top = i32(place.y) + params.origin.x + params.spacing.x * i32(r);
  let left = i32(place.z) + min(params.origin.y, params.origin.y + 2 * params.spacing.y);
  var source: Source;
  for (var i = 0u; i < PIXELS; i++) {
    let row = top + i32(i / SPAN);
    let column = left + i32(i % SPAN);
    let inside = u32(row) < params.x_size.y && u32(column) < params.x_size.z;
    let pixel = (place.x * params.x_size.y + u32(row)) * params.x_size.z + u32(column);
    source.at[i] = select(0u, pixel * (params.x_size.w / 2u), inside);
    source.inside[i] = inside;
  }
  return source;
}

fn store(sums: ptr<function, Sums>, place: vec3u, column: u32) {
  let columns = params.y_size.w / 4u;
  for (var i = 0u; i < 8u; i++) {
    let row = place.y + i / WIDTH;
    let q = place.z + i % WIDTH;
    if (row < params.y_size.y && q < params.y_size.z) {
      let at = ((place.x * params.y_size.y + row) * params.y_size.z + q) * columns + column;
      var value = (*sums)[i];
      if (params.adds == 1u) { value += unpack(y[at]); }
      y[at] = pack(value);
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

// Tile of places and tile of columns: `together` of the latter for each of the former, then the next.
fn tile_of(group: u32, column_tiles: u32) -> vec2u {
  let block = params.tiles * params.together;
  let first = group / block * params.together;
  let width = min(params.together, column_tiles - first);
  return vec2u(group % block / width, first + group % block % width);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.y_size.w / 4u;
  let column_tiles = (columns + COLUMNS - 1u) / COLUMNS;
  let segments = params.y_size.x * ((params.y_size.y + ROWS - 1u) / ROWS) * ((params.y_size.z + WIDTH - 1u) / WIDTH);
  let group = workgroup.x + workgroup.y * workgroups.x;
  if (group >= params.tiles * column_tiles) { return; }
  let tiles = tile_of(group, column_tiles);
  let tile = tiles.x;
  let column = tiles.y * COLUMNS;
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
    var a: Pixels;
    for (var j = 0u; j < PIXELS; j++) { a[j] = select(vec2f(), unpack_pair(load_x(pixels.at[j] + c)), pixels.inside[j]); }
    accumulate(&s0, weights0(l), weights0(m), weights0(n), &a);
    accumulate(&s1, weights1(l), weights1(m), weights1(n), &a);
    accumulate(&s2, weights2(l), weights2(m), weights2(n), &a);
    accumulate(&s3, weights3(l), weights3(m), weights3(n), &a);
    if (COLUMNS > 4u) {
      accumulate(&s4, weights4(l), weights4(m), weights4(n), &a);
      accumulate(&s5, weights5(l), weights5(m), weights5(n), &a);
      accumulate(&s6, weights6(l), weights6(m), weights6(n), &a);
      accumulate(&s7, weights7(l), weights7(m), weights7(n), &a);
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
