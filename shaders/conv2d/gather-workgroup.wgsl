// conv2d by implicit GEMM, forward pass and input gradient, for real GPUs: tiles of both operands in workgroup memory.
//
//   y[n, out] = sum over taps and c of x[n, in(out, tap)] weight[tap, c]              in = place * STEP + origin + tap * spacing
//
// A workgroup computes TILE_ROWS places x TILE_COLUMNS columns of y, seen as the matrix [places, K]: each invocation 8 places x 8
// columns in registers. The sum runs over [taps, C], 8 steps a strip. As in matmul/workgroup.wgsl two buffers take turns, with one
// barrier a strip; strips of x lie in workgroup memory as they are loaded, rows of two vec4s of channels: for 4 steps an invocation
// reads one vec4 for each of its places, as many as from a transposed strip.
//
// Where a place's tap lies in x is found when the sum comes to another tap, and then serves all of its channels. With a stride, the
// taps of an input gradient that a phase does not see are not among the taps here.
//
// The geometry is constant (one pipeline per shape): index arithmetic then folds. The number of images, which changes at the end of
// an epoch, is not. Nor are taps and phase: the phases of an input gradient with a stride share a pipeline.
//
// With STATS it also writes, per tile, every column's mean and sum of squared deviations: batch norm's partials.

const TILE_ROWS: u32 = 64u;    // 64, 128 or, with 64 columns, 256
const TILE_COLUMNS: u32 = 64u; // 64 or, with 128 rows, 128
const STATS: bool = true;      // write partials
const ADDS: bool = false;      // add to y: constant, since the loads cost registers, and a third of the compiling
const ALL_TAPS: bool = true;   // the taps are all those of weight, in its order

const X_SIZE: vec3u = vec3u(8u, 8u, 16u);  // height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
const Y_SIZE: vec3u = vec3u(8u, 8u, 64u);  // height, width, K: of the whole output
const PLACES: vec2u = vec2u(8u, 8u);      // rows and columns of places: all of y, or the most that a phase of dx has
const STEP: vec2i = vec2i(1, 1);        // from one place to the next in x
const SPREAD: vec2u = vec2u(1u, 1u);      // from one place to the next in y

const CHANNEL_VECTORS = X_SIZE.z / 4u;
const COLUMN_VECTORS = Y_SIZE.z / 4u;
const COLUMN_TILES = (Y_SIZE.z + TILE_COLUMNS - 1u) / TILE_COLUMNS;

const THREADS = TILE_ROWS * TILE_COLUMNS / 64u;
const TILE_VECTORS = TILE_COLUMNS / 4u;     // vec4s in a step of weights
const X_STRIP = 2u * TILE_ROWS;             // vec4s in a strip
const WEIGHT_STRIP = max(8u * TILE_VECTORS, THREADS); // 256 x 64: half of the invocations copy what the others do, to where nobody reads
const X_LOADS = X_STRIP / THREADS;          // vec4s of x that an invocation copies
const NEXT_STEP = THREADS / TILE_VECTORS;   // steps from its first vec4 of weights to its second; 8 or more: there is none
const ACROSS = TILE_COLUMNS / 8u;           // invocations beside each other, below each other
const DOWN = TILE_ROWS / 8u;
const BETWEEN = 2u * DOWN;                  // vec4s from one of an invocation's places to its next
const WHOLE = X_SIZE.z % 16u == 0u;         // taps * C then fills whole pairs of strips: nothing lies past the last step

// Constant, and more than any sum has: such a loop needs no guard against running forever, one bounded by Params gets one.
const MOST_PAIRS: u32 = 1048576u;

alias Stored = vec4f; // vec2u where x and y are f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  images: u32,
  pairs: u32,       // of strips
  taps: vec2u,      // rows and columns of taps, all of which contribute
  origin: vec2i,    // of the first in x
  spacing: vec2i,   // from one to the next in x
  first: vec2u,     // the first among weight's
  tap_step: vec2u,  // from one to the next among weight's
  window: u32,      // S of weight
  phase: vec2u,     // first place in y
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [R, S, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

// Two strips each, [TILE_ROWS][8 steps] and [8 steps][TILE_COLUMNS]: 16 KB together for 128 x 128, 24 KB for 256 x 64. Whole enough
// for STATS too, which keeps a vec4 for every row of invocations and column.
var<workgroup> x_tile: array<vec4f, 2u * X_STRIP>;
var<workgroup> weight_tile: array<vec4f, max(2u * WEIGHT_STRIP, DOWN * TILE_VECTORS)>;

// The sums of an invocation, [place][half]: constant indices only, so that they become registers.
alias Sums = array<vec4f, 16>;

// Four channels of eight places; or four steps of weights, two halves each.
struct Eight { v0: vec4f, v1: vec4f, v2: vec4f, v3: vec4f, v4: vec4f, v5: vec4f, v6: vec4f, v7: vec4f }

fn products(sum: vec4f, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f {
  return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}

fn multiply(sums: ptr<function, Sums>, a: Eight, b: Eight) {
  (*sums)[0] = products((*sums)[0], a.v0, b.v0, b.v2, b.v4, b.v6);
  (*sums)[1] = products((*sums)[1], a.v0, b.v1, b.v3, b.v5, b.v7);
  (*sums)[2] = products((*sums)[2], a.v1, b.v0, b.v2, b.v4, b.v6);
  (*sums)[3] = products((*sums)[3], a.v1, b.v1, b.v3, b.v5, b.v7);
  (*sums)[4] = products((*sums)[4], a.v2, b.v0, b.v2, b.v4, b.v6);
  (*sums)[5] = products((*sums)[5], a.v2, b.v1, b.v3, b.v5, b.v7);
  (*sums)[6] = products((*sums)[6], a.v3, b.v0, b.v2, b.v4, b.v6);
  (*sums)[7] = products((*sums)[7], a.v3, b.v1, b.v3, b.v5, b.v7);
  (*sums)[8] = products((*sums)[8], a.v4, b.v0, b.v2, b.v4, b.v6);
  (*sums)[9] = products((*sums)[9], a.v4, b.v1, b.v3, b.v5, b.v7);
  (*sums)[10] = products((*sums)[10], a.v5, b.v0, b.v2, b.v4, b.v6);
  (*sums)[11] = products((*sums)[11], a.v5, b.v1, b.v3, b.v5, b.v7);
  (*sums)[12] = products((*sums)[12], a.v6, b.v0, b.v2, b.v4, b.v6);
  (*sums)[13] = products((*sums)[13], a.v6, b.v1, b.v3, b.v5, b.v7);
  (*sums)[14] = products((*sums)[14], a.v7, b.v0, b.v2, b.v4, b.v6);
  (*sums)[15] = products((*sums)[15], a.v7, b.v1, b.v3, b.v5, b.v7);
}

fn place_count() -> u32 { return params.images * (PLACES.x * PLACES.y); }

// A place: its image, row and column.
fn place(index: u32) -> vec3u {
  let i = min(index, place_count() - 1u);
  return vec3u(i / (PLACES.x * PLACES.y), i / PLACES.y % PLACES.x, i % PLACES.y);
}

// A place under a tap: its first vec4 in x, if it lies inside of the image. Taps past the last lie outside.
struct Source { at: u32, inside: bool }

fn source(place: vec3u, tap: u32) -> Source {
  let columns = max(params.taps.y, 1u);
  let at = vec2i(place.yz) * STEP + params.origin + params.spacing * vec2i(i32(tap / columns), i32(tap % columns));
  let inside = (WHOLE || tap < params.taps.x * params.taps.y) && u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y;
  let pixel = (place.x * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y);
  return Source(select(0u, pixel * CHANNEL_VECTORS, inside), inside);
}

// What lies outside is loaded from the first pixel, or the first weight, and becomes zero when it is put down, after the
// multiplication: a load in a branch, or a choice right behind it, is waited for on the spot.
struct FromX { value: Stored, inside: bool }
struct FromWeight { value: vec4f, inside: bool }

fn load_x(source: Source, channel: u32) -> FromX { return FromX(x[source.at + channel], source.inside); }
fn shown_x(v: FromX) -> vec4f { return select(vec4f(), unpack(v.value), v.inside); }

// The first row of a tap's weights. Rows past the last are not loaded.
fn weight_row(tap: u32) -> u32 {
  let columns = max(params.taps.y, 1u);
  let own = params.first + params.tap_step * vec2u(tap / columns, tap % columns);
  return (own.x * params.window + own.y) * X_SIZE.z;
}

fn load_weight(step: u32, row: u32, column: u32) -> FromWeight {
  let inside = WHOLE || step < params.taps.x * params.taps.y * X_SIZE.z;
  let own = select(row + step % X_SIZE.z, step, ALL_TAPS);
  return FromWeight(weight[select(0u, own * COLUMN_VECTORS + column, inside)], inside);
}

fn shown_weight(v: FromWeight) -> vec4f { return select(vec4f(), v.value, v.inside); }

// Of a place in y: its first vec4, if it is one. A phase may have fewer places than PLACES.
struct Target { at: u32, exists: bool }

fn target_of(index: u32) -> Target {
  let own = place(index);
  let to = own.yz * SPREAD + params.phase;
  let exists = index < place_count() && to.x < Y_SIZE.x && to.y < Y_SIZE.y;
  return Target(((own.x * Y_SIZE.x + to.x) * Y_SIZE.y + to.y) * COLUMN_VECTORS, exists);
}

// What is not this invocation's is read for nothing, maybe while its owner writes it.
fn load_y(index: u32, column: u32) -> vec4f {
  let held = target_of(index);
  let inside = held.exists && column < COLUMN_VECTORS;
  return select(vec4f(), unpack(y[select(0u, held.at + column, inside)]), inside);
}

fn store(index: u32, column: u32, v0: vec4f, v1: vec4f) {
  let to = target_of(index);
  if (to.exists && column < COLUMN_VECTORS) { y[to.at + column] = pack(v0); }
  if (to.exists && column + ACROSS < COLUMN_VECTORS) { y[to.at + column + ACROSS] = pack(v1); }
}

fn deviation(value: vec4f, mean: vec4f, exists: bool, squared: bool) -> vec4f {
  let d = value - mean;
  return select(vec4f(0.0), select(d, d * d, squared), exists);
}

// Over the first `count` places: the sum of value - mean, or of its square. Spelt out, since a loop's index may spill registers.
fn deviations(v: Eight, count: u32, mean: vec4f, squared: bool) -> vec4f {
  return deviation(v.v0, mean, 0u < count, squared) + deviation(v.v1, mean, 1u < count, squared)
    + deviation(v.v2, mean, 2u < count, squared) + deviation(v.v3, mean, 3u < count, squared)
    + deviation(v.v4, mean, 4u < count, squared) + deviation(v.v5, mean, 5u < count, squared)
    + deviation(v.v6, mean, 6u < count, squared) + deviation(v.v7, mean, 7u < count, squared);
}

// How many of the tile's places exist, and how many of them the invocations of a row have.
fn tile_count(first: u32) -> u32 { return min(place_count() - first, TILE_ROWS); }
fn row_count(first: u32, row: u32) -> u32 { return (tile_count(first) + DOWN - 1u - row) / DOWN; }

// The means and squared deviations of an invocation's own places.
struct Statistics { mean: vec4f, squares: vec4f }

fn statistics(v: Eight, count: u32) -> Statistics {
  let mean = deviations(v, count, vec4f(0.0), false) / f32(max(count, 1u));
  return Statistics(mean, deviations(v, count, mean, true));
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  let first = index / COLUMN_TILES * TILE_ROWS;
  if (first >= place_count()) { return; }
  let first_column = index % COLUMN_TILES * TILE_VECTORS;
  let across = local / 2u % 8u + local / 32u % (ACROSS / 8u) * 8u;
  let down = local % 2u + local / 16u % 2u * 2u + local / (4u * ACROSS) * 4u;
  let row = 2u * down; // in vec4s of a strip

  // What this invocation copies: one or two vec4s of a strip of each operand.
  let x_vector = local % 2u;
  let place_0 = place(first + local / 2u);
  let place_1 = place(first + local / 2u + THREADS / 2u);
  let weight_step = local / TILE_VECTORS % 8u;
  let weight_column = min(first_column + local % TILE_VECTORS, COLUMN_VECTORS - 1u);
  var source_0 = source(place_0, x_vector / CHANNEL_VECTORS);
  var source_1 = source(place_1, x_vector / CHANNEL_VECTORS);
  var row_0 = 0u;
  var row_1 = 0u;
  if (!ALL_TAPS) {
    row_0 = weight_row(weight_step / X_SIZE.z);
    row_1 = weight_row((weight_step + NEXT_STEP) / X_SIZE.z);
  }
  var x0 = load_x(source_0, x_vector % CHANNEL_VECTORS);
  var x1: FromX;
  if (X_LOADS > 1u) { x1 = load_x(source_1, x_vector % CHANNEL_VECTORS); }
  var w0 = load_weight(weight_step, row_0, weight_column);
  var w1: FromWeight;
  if (NEXT_STEP < 8u) { w1 = load_weight(weight_step + NEXT_STEP, row_1, weight_column); }
  x_tile[local] = shown_x(x0);
  if (X_LOADS > 1u) { x_tile[(local + THREADS) % X_STRIP] = shown_x(x1); }
  weight_tile[local] = shown_weight(w0);
  if (NEXT_STEP < 8u) { weight_tile[(local + THREADS) % WEIGHT_STRIP] = shown_weight(w1); }
  workgroupBarrier();

  let column = first_column + across;
  var sums: Sums;
  // First, not at the end: between stores the loads would wait for each other.
  if (ADDS) {
    sums[0] = load_y(first + down, column);
    sums[1] = load_y(first + down, column + ACROSS);
    sums[2] = load_y(first + down + DOWN, column);
    sums[3] = load_y(first + down + DOWN, column + ACROSS);
    sums[4] = load_y(first + down + 2u * DOWN, column);
    sums[5] = load_y(first + down + 2u * DOWN, column + ACROSS);
    sums[6] = load_y(first + down + 3u * DOWN, column);
    sums[7] = load_y(first + down + 3u * DOWN, column + ACROSS);
    sums[8] = load_y(first + down + 4u * DOWN, column);
    sums[9] = load_y(first + down + 4u * DOWN, column + ACROSS);
    sums[10] = load_y(first + down + 5u * DOWN, column);
    sums[11] = load_y(first + down + 5u * DOWN, column + ACROSS);
    sums[12] = load_y(first + down + 6u * DOWN, column);
    sums[13] = load_y(first + down + 6u * DOWN, column + ACROSS);
    sums[14] = load_y(first + down + 7u * DOWN, column);
    sums[15] = load_y(first + down + 7u * DOWN, column + ACROSS);
  }
  for (var pair = 0u; pair < MOST_PAIRS; pair++) {
    if (pair >= params.pairs) { break; }
    {
      let vector = pair * 4u + 2u + x_vector;
      let step = 4u * (pair * 4u + 2u) + weight_step;
      if (vector % CHANNEL_VECTORS < 2u) {
        source_0 = source(place_0, vector / CHANNEL_VECTORS);
        if (X_LOADS > 1u) { source_1 = source(place_1, vector / CHANNEL_VECTORS); }
      }
      x0 = load_x(source_0, vector % CHANNEL_VECTORS);
      if (X_LOADS > 1u) { x1 = load_x(source_1, vector % CHANNEL_VECTORS); }
      if (!ALL_TAPS && step % X_SIZE.z < 8u) { row_0 = weight_row(step / X_SIZE.z); }
      if (!ALL_TAPS && NEXT_STEP < 8u && (step + NEXT_STEP) % X_SIZE.z < 8u) { row_1 = weight_row((step + NEXT_STEP) / X_SIZE.z); }
      w0 = load_weight(step, row_0, weight_column);
      if (NEXT_STEP < 8u) { w1 = load_weight(step + NEXT_STEP, row_1, weight_column); }
    }
    multiply(
      &sums,
      Eight(
        x_tile[row], x_tile[row + 1u * BETWEEN], x_tile[row + 2u * BETWEEN], x_tile[row + 3u * BETWEEN],
        x_tile[row + 4u * BETWEEN], x_tile[row + 5u * BETWEEN], x_tile[row + 6u * BETWEEN], x_tile[row + 7u * BETWEEN],
      ),
      Eight(
        weight_tile[across], weight_tile[across + ACROSS],
        weight_tile[across + 1u * TILE_VECTORS], weight_tile[across + 1u * TILE_VECTORS + ACROSS],
        weight_tile[across + 2u * TILE_VECTORS], weight_tile[across + 2u * TILE_VECTORS + ACROSS],
        weight_tile[across + 3u * TILE_VECTORS], weight_tile[across + 3u * TILE_VECTORS + ACROSS],
      ),
    );
    multiply(
      &sums,
      Eight(
        x_tile[row + 1u], x_tile[row + 1u * BETWEEN + 1u], x_tile[row + 2u * BETWEEN + 1u], x_tile[row + 3u * BETWEEN + 1u],
        x_tile[row + 4u * BETWEEN + 1u], x_tile[row + 5u * BETWEEN + 1u], x_tile[row + 6u * BETWEEN + 1u], x_tile[row + 7u * BETWEEN + 1u],
      ),
      Eight(
        weight_tile[across + 4u * TILE_VECTORS], weight_tile[across + 4u * TILE_VECTORS + ACROSS],
        weight_tile[across + 5u * TILE_VECTORS], weight_tile[across + 5u * TILE_VECTORS + ACROSS],
        weight_tile[across + 6u * TILE_VECTORS], weight_tile[across + 6u * TILE_VECTORS + ACROSS],
        weight_tile[across + 7u * TILE_VECTORS], weight_tile[across + 7u * TILE_VECTORS + ACROSS],
      ),
    );
    x_tile[X_STRIP + local] = shown_x(x0);
    if (X_LOADS > 1u) { x_tile[X_STRIP + (local + THREADS) % X_STRIP] = shown_x(x1); }
    weight_tile[WEIGHT_STRIP + local] = shown_weight(w0);
    if (NEXT_STEP < 8u) { weight_tile[WEIGHT_STRIP + (local + THREADS) % WEIGHT_STRIP] = shown_weight(w1); }
    workgroupBarrier();

    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    {
      let strip = min(pair * 2u + 2u, params.pairs * 2u - 1u);
      let vector = strip * 2u + x_vector;
      let step = strip * 8u + weight_step;
      if (vector % CHANNEL_VECTORS < 2u) {
        source_0 = source(place_0, vector / CHANNEL_VECTORS);
        if (X_LOADS > 1u) { source_1 = source(place_1, vector / CHANNEL_VECTORS); }
      }
      x0 = load_x(source_0, vector % CHANNEL_VECTORS);
      if (X_LOADS > 1u) { x1 = load_x(source_1, vector % CHANNEL_VECTORS); }
      if (!ALL_TAPS && step % X_SIZE.z < 8u) { row_0 = weight_row(step / X_SIZE.z); }
      if (!ALL_TAPS && NEXT_STEP < 8u && (step + NEXT_STEP) % X_SIZE.z < 8u) { row_1 = weight_row((step + NEXT_STEP) / X_SIZE.z); }
      w0 = load_weight(step, row_0, weight_column);
      if (NEXT_STEP < 8u) { w1 = load_weight(step + NEXT_STEP, row_1, weight_column); }
    }
    multiply(
      &sums,
      Eight(
        x_tile[X_STRIP + row], x_tile[X_STRIP + row + 1u * BETWEEN], x_tile[X_STRIP + row + 2u * BETWEEN], x_tile[X_STRIP + row + 3u * BETWEEN],
        x_tile[X_STRIP + row + 4u * BETWEEN], x_tile[X_STRIP + row + 5u * BETWEEN], x_tile[X_STRIP + row + 6u * BETWEEN], x_tile[X_STRIP + row + 7u * BETWEEN],
      ),
      Eight(
        weight_tile[WEIGHT_STRIP + across], weight_tile[WEIGHT_STRIP + across + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 1u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 1u * TILE_VECTORS + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 2u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 2u * TILE_VECTORS + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 3u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 3u * TILE_VECTORS + ACROSS],
      ),
    );
    multiply(
      &sums,
      Eight(
        x_tile[X_STRIP + row + 1u], x_tile[X_STRIP + row + 1u * BETWEEN + 1u], x_tile[X_STRIP + row + 2u * BETWEEN + 1u], x_tile[X_STRIP + row + 3u * BETWEEN + 1u],
        x_tile[X_STRIP + row + 4u * BETWEEN + 1u], x_tile[X_STRIP + row + 5u * BETWEEN + 1u], x_tile[X_STRIP + row + 6u * BETWEEN + 1u], x_tile[X_STRIP + row + 7u * BETWEEN + 1u],
      ),
      Eight(
        weight_tile[WEIGHT_STRIP + across + 4u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 4u * TILE_VECTORS + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 5u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 5u * TILE_VECTORS + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 6u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 6u * TILE_VECTORS + ACROSS],
        weight_tile[WEIGHT_STRIP + across + 7u * TILE_VECTORS], weight_tile[WEIGHT_STRIP + across + 7u * TILE_VECTORS + ACROSS],
      ),
    );
    x_tile[local] = shown_x(x0);
    if (X_LOADS > 1u) { x_tile[(local + THREADS) % X_STRIP] = shown_x(x1); }
    weight_tile[local] = shown_weight(w0);
    if (NEXT_STEP < 8u) { weight_tile[(local + THREADS) % WEIGHT_STRIP] = shown_weight(w1); }
    workgroupBarrier();
  }

  store(first + down, column, sums[0], sums[1]);
  store(first + down + DOWN, column, sums[2], sums[3]);
  store(first + down + 2u * DOWN, column, sums[4], sums[5]);
  store(first + down + 3u * DOWN, column, sums[6], sums[7]);
  store(first + down + 4u * DOWN, column, sums[8], sums[9]);
  store(first + down + 5u * DOWN, column, sums[10], sums[11]);
  store(first + down + 6u * DOWN, column, sums[12], sums[13]);
  store(first + down + 7u * DOWN, column, sums[14], sums[15]);
  if (STATS) {
    let count = row_count(first, down);
    let s0 = statistics(Eight(sums[0], sums[2], sums[4], sums[6], sums[8], sums[10], sums[12], sums[14]), count);
    let s1 = statistics(Eight(sums[1], sums[3], sums[5], sums[7], sums[9], sums[11], sums[13], sums[15]), count);
    // The tiles have been used up and serve as scratch.
    weight_tile[down * TILE_VECTORS + across] = s0.mean;
    weight_tile[down * TILE_VECTORS + across + ACROSS] = s1.mean;
    x_tile[down * TILE_VECTORS + across] = s0.squares;
    x_tile[down * TILE_VECTORS + across + ACROSS] = s1.squares;
    workgroupBarrier();
    let out = first_column + local;
    if (local < TILE_VECTORS && out < COLUMN_VECTORS) {
      // The tile's from those of the rows of invocations, merged one after the other (Chan, Golub and LeVeque, 1979).
      var mean = vec4f(0.0);
      var squares = vec4f(0.0);
      var merged = 0.0;
      for (var i = 0u; i < DOWN; i++) {
        let more = f32(row_count(first, i)); // none in the last rows of a short tile, which change nothing
        let d = weight_tile[i * TILE_VECTORS + local % TILE_VECTORS] - mean;
        let share = more / (merged + more);
        mean += d * share;
        squares += x_tile[i * TILE_VECTORS + local % TILE_VECTORS] + d * d * (merged * share);
        merged += more;
      }
      let at = first / TILE_ROWS * 2u * COLUMN_VECTORS + out;
      partials[at] = mean;
      partials[at + COLUMN_VECTORS] = squares;
    }
  }
}
