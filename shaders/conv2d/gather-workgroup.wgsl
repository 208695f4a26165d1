// conv2d by implicit GEMM, forward pass and input gradient, for real GPUs: tiles of both operands in workgroup memory.
//
//   y[n, out] = sum over taps and c of x[n, in(out, tap)] weight[tap, c]       in = place * STEP + (origin + tap * SPACING) / DIVISOR
//
// A workgroup computes TILE_ROWS places x TILE_COLUMNS columns of y, seen as the matrix [places, K]; each of its 16 x 16
// invocations 4 or 8 places x 4 or 8 columns in registers. A step brings CHUNK channels of one tap: every value loaded from
// memory is used TILE_ROWS or TILE_COLUMNS times. The loads of the next step are under way while this one's are multiplied.
// Both tiles lie in vec4s as they are loaded: for 4 channels an invocation reads one vec4 per place and 4 per vec4 of columns,
// as many as it would from a transposed tile.
//
// The geometry is constant (one pipeline per shape): index arithmetic then folds, and loops with constant bounds and steps of
// one need no guards. The number of images, which changes at the end of an epoch, is not. Nor are origin and phase: the phases
// of an input gradient with a stride share a pipeline.
//
// With STATS it also writes, per tile, every column's mean and sum of squared deviations: batch norm's partials.

const TILE_ROWS: u32 = 64u;    // 64 or 128
const TILE_COLUMNS: u32 = 64u; // 64 or, with 128 rows, 128
const CHUNK: u32 = 16u;        // channels a step: 4, 8 or 16
const STATS: bool = true;      // write partials

const X_SIZE: vec3u = vec3u(8u, 8u, 16u);  // height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
const Y_SIZE: vec3u = vec3u(8u, 8u, 64u);  // height, width, K: of the whole output
const PLACES: vec2u = vec2u(8u, 8u);      // rows and columns of places: all of y, or the most that a phase of dx has
const TAPS: vec2u = vec2u(3u, 3u);        // R, S
const STEP: vec2i = vec2i(1, 1);        // from one place to the next in x
const SPACING: vec2i = vec2i(1, 1);     // from one tap to the next in x, times DIVISOR
const DIVISOR: vec2i = vec2i(1, 1);     // taps whose position it does not divide contribute nothing
const SPREAD: vec2u = vec2u(1u, 1u);      // from one place to the next in y

const CHANNEL_VECTORS = X_SIZE.z / 4u;
const COLUMN_VECTORS = Y_SIZE.z / 4u;
const CHUNKS = (X_SIZE.z + CHUNK - 1u) / CHUNK;
const STEPS = TAPS.x * TAPS.y * CHUNKS;
const COLUMN_TILES = (Y_SIZE.z + TILE_COLUMNS - 1u) / TILE_COLUMNS;

// How the 256 invocations load the tiles: ROW_VECTORS of them a row of x, TILE_VECTORS of them a row of weights.
const ROW_VECTORS: u32 = CHUNK / 4u;
const X_ROWS: u32 = 256u / ROW_VECTORS;
const TILE_VECTORS: u32 = TILE_COLUMNS / 4u;
const WEIGHT_ROWS: u32 = 256u / TILE_VECTORS;

struct Params {
  images: u32,
  origin: vec2i, // of tap 0 in x, times DIVISOR
  phase: vec2u,  // first place in y
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [R, S, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> x_tile: array<vec4f, TILE_ROWS * 4u>;          // [TILE_ROWS, CHUNK]; whole for any CHUNK: STATS uses 16 rows
var<workgroup> weight_tile: array<vec4f, 16u * TILE_VECTORS>; // [CHUNK, TILE_COLUMNS]

// The sums of an invocation, [place][vec4 of columns]: constant indices only, so that they become registers.
alias Tile = array<vec4f, 16>;

// The weights of 4 channels.
struct Weights { x0: vec4f, y0: vec4f, z0: vec4f, w0: vec4f, x1: vec4f, y1: vec4f, z1: vec4f, w1: vec4f }

fn place_count() -> u32 { return params.images * (PLACES.x * PLACES.y); }

// A place: its image, row and column.
fn place(index: u32) -> vec3u {
  let i = min(index, place_count() - 1u);
  return vec3u(i / (PLACES.x * PLACES.y), i / PLACES.y % PLACES.x, i % PLACES.y);
}

fn position(tap: u32) -> vec2i { return params.origin + SPACING * vec2i(i32(tap / TAPS.y), i32(tap % TAPS.y)); }

// False for the taps that another phase sees. The same for the whole workgroup.
fn contributes(step: u32) -> bool { return all(position(step / CHUNKS) % DIVISOR == vec2i(0)); }

// One vec4 of channels of a place under the step's tap: zeros outside of the image and past the channels.
fn load_x(place: vec3u, step: u32, vector: u32) -> vec4f {
  let at = vec2i(place.yz) * STEP + position(step / CHUNKS) / DIVISOR;
  let channel = step % CHUNKS * ROW_VECTORS + vector;
  let inside = u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y && channel < CHANNEL_VECTORS;
  let index = ((place.x * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y)) * CHANNEL_VECTORS + channel;
  return select(vec4f(0.0), x[select(0u, index, inside)], inside);
}

fn load_weight(step: u32, row: u32, column: u32) -> vec4f {
  let channel = step % CHUNKS * CHUNK + row;
  let inside = channel < X_SIZE.z && column < COLUMN_VECTORS;
  let index = (step / CHUNKS * X_SIZE.z + channel) * COLUMN_VECTORS + column;
  return select(vec4f(0.0), weight[select(0u, index, inside)], inside);
}

fn weights(row: u32, column: u32) -> Weights {
  let at = row * TILE_VECTORS + column;
  var w: Weights;
  w.x0 = weight_tile[at];
  w.y0 = weight_tile[at + TILE_VECTORS];
  w.z0 = weight_tile[at + 2u * TILE_VECTORS];
  w.w0 = weight_tile[at + 3u * TILE_VECTORS];
  if (TILE_COLUMNS > 64u) {
    w.x1 = weight_tile[at + 16u];
    w.y1 = weight_tile[at + TILE_VECTORS + 16u];
    w.z1 = weight_tile[at + 2u * TILE_VECTORS + 16u];
    w.w1 = weight_tile[at + 3u * TILE_VECTORS + 16u];
  }
  return w;
}

fn accumulate(tile: ptr<function, Tile>, row: u32, vector: u32, w: Weights) {
  let a0 = x_tile[(row + 0u) * ROW_VECTORS + vector];
  (*tile)[0] += a0.x * w.x0 + a0.y * w.y0 + a0.z * w.z0 + a0.w * w.w0;
  if (TILE_COLUMNS > 64u) { (*tile)[1] += a0.x * w.x1 + a0.y * w.y1 + a0.z * w.z1 + a0.w * w.w1; }
  let a1 = x_tile[(row + 16u) * ROW_VECTORS + vector];
  (*tile)[2] += a1.x * w.x0 + a1.y * w.y0 + a1.z * w.z0 + a1.w * w.w0;
  if (TILE_COLUMNS > 64u) { (*tile)[3] += a1.x * w.x1 + a1.y * w.y1 + a1.z * w.z1 + a1.w * w.w1; }
  let a2 = x_tile[(row + 32u) * ROW_VECTORS + vector];
  (*tile)[4] += a2.x * w.x0 + a2.y * w.y0 + a2.z * w.z0 + a2.w * w.w0;
  if (TILE_COLUMNS > 64u) { (*tile)[5] += a2.x * w.x1 + a2.y * w.y1 + a2.z * w.z1 + a2.w * w.w1; }
  let a3 = x_tile[(row + 48u) * ROW_VECTORS + vector];
  (*tile)[6] += a3.x * w.x0 + a3.y * w.y0 + a3.z * w.z0 + a3.w * w.w0;
  if (TILE_COLUMNS > 64u) { (*tile)[7] += a3.x * w.x1 + a3.y * w.y1 + a3.z * w.z1 + a3.w * w.w1; }
  if (TILE_ROWS > 64u) {
    let a4 = x_tile[(row + 64u) * ROW_VECTORS + vector];
    (*tile)[8] += a4.x * w.x0 + a4.y * w.y0 + a4.z * w.z0 + a4.w * w.w0;
    if (TILE_COLUMNS > 64u) { (*tile)[9] += a4.x * w.x1 + a4.y * w.y1 + a4.z * w.z1 + a4.w * w.w1; }
    let a5 = x_tile[(row + 80u) * ROW_VECTORS + vector];
    (*tile)[10] += a5.x * w.x0 + a5.y * w.y0 + a5.z * w.z0 + a5.w * w.w0;
    if (TILE_COLUMNS > 64u) { (*tile)[11] += a5.x * w.x1 + a5.y * w.y1 + a5.z * w.z1 + a5.w * w.w1; }
    let a6 = x_tile[(row + 96u) * ROW_VECTORS + vector];
    (*tile)[12] += a6.x * w.x0 + a6.y * w.y0 + a6.z * w.z0 + a6.w * w.w0;
    if (TILE_COLUMNS > 64u) { (*tile)[13] += a6.x * w.x1 + a6.y * w.y1 + a6.z * w.z1 + a6.w * w.w1; }
    let a7 = x_tile[(row + 112u) * ROW_VECTORS + vector];
    (*tile)[14] += a7.x * w.x0 + a7.y * w.y0 + a7.z * w.z0 + a7.w * w.w0;
    if (TILE_COLUMNS > 64u) { (*tile)[15] += a7.x * w.x1 + a7.y * w.y1 + a7.z * w.z1 + a7.w * w.w1; }
  }
}

fn store(index: u32, column: u32, v0: vec4f, v1: vec4f) {
  let at = place(index);
  let target_place = at.yz * SPREAD + params.phase;
  let row = ((at.x * Y_SIZE.x + target_place.x) * Y_SIZE.y + target_place.y) * COLUMN_VECTORS;
  // A phase may have fewer places than PLACES.
  let exists = index < place_count() && target_place.x < Y_SIZE.x && target_place.y < Y_SIZE.y;
  if (exists && column < COLUMN_VECTORS) { y[row + column] = v0; }
  if (exists && TILE_COLUMNS > 64u && column + 16u < COLUMN_VECTORS) { y[row + column + 16u] = v1; }
}

// One vec4 of columns of all of an invocation's places.
struct Places { p0: vec4f, p1: vec4f, p2: vec4f, p3: vec4f, p4: vec4f, p5: vec4f, p6: vec4f, p7: vec4f }

fn deviation(value: vec4f, mean: vec4f, exists: bool, squared: bool) -> vec4f {
  let d = value - mean;
  return select(vec4f(0.0), select(d, d * d, squared), exists);
}

// Over the first `count` places: the sum of value - mean, or of its square. Spelt out, since a loop's index may spill registers.
fn deviations(v: Places, count: u32, mean: vec4f, squared: bool) -> vec4f {
  return deviation(v.p0, mean, 0u < count, squared) + deviation(v.p1, mean, 1u < count, squared)
    + deviation(v.p2, mean, 2u < count, squared) + deviation(v.p3, mean, 3u < count, squared)
    + deviation(v.p4, mean, 4u < count, squared) + deviation(v.p5, mean, 5u < count, squared)
    + deviation(v.p6, mean, 6u < count, squared) + deviation(v.p7, mean, 7u < count, squared);
}

// How many of the tile's places exist, and how many of them the invocations of a row have: every 16th.
fn tile_count(first: u32) -> u32 { return min(place_count() - first, TILE_ROWS); }
fn row_count(first: u32, row: u32) -> u32 { return (tile_count(first) + 15u - row) / 16u; }

// The means and squared deviations of an invocation's own places.
struct Statistics { mean: vec4f, squares: vec4f }

fn statistics(v: Places, count: u32) -> Statistics {
  let mean = deviations(v, count, vec4f(0.0), false) / f32(max(count, 1u));
  return Statistics(mean, deviations(v, count, mean, true));
}

// The whole tile's from those of the 16 rows of invocations, merged one after the other (Chan, Golub and LeVeque, 1979).
fn store_partials(first: u32, column: u32, out: u32) {
  var mean = vec4f(0.0);
  var squares = vec4f(0.0);
  var count = 0.0;
  let rows = min(tile_count(first), 16u); // the others have no places
  for (var i = 0u; i < rows; i++) {
    let more = f32(row_count(first, i));
    let d = weight_tile[i * TILE_VECTORS + column] - mean;
    let share = more / (count + more);
    mean += d * share;
    squares += x_tile[i * TILE_VECTORS + column] + d * d * (count * share);
    count += more;
  }
  let at = first / TILE_ROWS * 2u * COLUMN_VECTORS + out;
  partials[at] = mean;
  partials[at + COLUMN_VECTORS] = squares;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  let first = index / COLUMN_TILES * TILE_ROWS;
  if (first >= place_count()) { return; }
  let first_column = index % COLUMN_TILES * TILE_VECTORS;

  let x_row = local / ROW_VECTORS;
  let x_vector = local % ROW_VECTORS;
  let p0 = place(first + x_row);
  let p1 = place(first + x_row + X_ROWS);
  let weight_row = local / TILE_VECTORS;
  let weight_column = first_column + local % TILE_VECTORS;
  var x0 = load_x(p0, 0u, x_vector);
  var x1 = load_x(p1, 0u, x_vector);
  var w0 = load_weight(0u, weight_row, weight_column);
  var w1 = load_weight(0u, weight_row + WEIGHT_ROWS, weight_column);

  let row = local / 16u;
  let column = local % 16u;
  var tile: Tile;
  for (var step = 0u; step < STEPS; step++) {
    if (x_row < TILE_ROWS) { x_tile[x_row * ROW_VECTORS + x_vector] = x0; }
    if (X_ROWS < TILE_ROWS) { x_tile[(x_row + X_ROWS) % TILE_ROWS * ROW_VECTORS + x_vector] = x1; }
    if (weight_row < CHUNK) { weight_tile[local] = w0; }
    if (WEIGHT_ROWS < CHUNK) { weight_tile[(local + 256u) % (16u * TILE_VECTORS)] = w1; }
    workgroupBarrier();
    if (step + 1u < STEPS) {
      if (contributes(step + 1u)) {
        x0 = load_x(p0, step + 1u, x_vector);
        if (X_ROWS < TILE_ROWS) { x1 = load_x(p1, step + 1u, x_vector); }
        w0 = load_weight(step + 1u, weight_row, weight_column);
        if (WEIGHT_ROWS < CHUNK) { w1 = load_weight(step + 1u, weight_row + WEIGHT_ROWS, weight_column); }
      }
    }
    if (contributes(step)) {
      for (var v = 0u; v < ROW_VECTORS; v++) { accumulate(&tile, row, v, weights(v * 4u, column)); }
    }
    workgroupBarrier();
  }

  store(first + row + 0u, first_column + column, tile[0], tile[1]);
  store(first + row + 16u, first_column + column, tile[2], tile[3]);
  store(first + row + 32u, first_column + column, tile[4], tile[5]);
  store(first + row + 48u, first_column + column, tile[6], tile[7]);
  if (TILE_ROWS > 64u) {
    store(first + row + 64u, first_column + column, tile[8], tile[9]);
    store(first + row + 80u, first_column + column, tile[10], tile[11]);
    store(first + row + 96u, first_column + column, tile[12], tile[13]);
    store(first + row + 112u, first_column + column, tile[14], tile[15]);
  }
  if (STATS) {
    let count = row_count(first, row);
    let own = row * TILE_VECTORS + column;
    let s0 = statistics(Places(tile[0], tile[2], tile[4], tile[6], tile[8], tile[10], tile[12], tile[14]), count);
    let s1 = statistics(Places(tile[1], tile[3], tile[5], tile[7], tile[9], tile[11], tile[13], tile[15]), count);
    // The tiles have been used up and serve as scratch.
    weight_tile[own] = s0.mean;
    x_tile[own] = s0.squares;
    if (TILE_COLUMNS > 64u) {
      weight_tile[own + 16u] = s1.mean;
      x_tile[own + 16u] = s1.squares;
    }
    workgroupBarrier();
    if (local < TILE_VECTORS && first_column + local < COLUMN_VECTORS) { store_partials(first, local % TILE_VECTORS, first_column + local); }
  }
}
