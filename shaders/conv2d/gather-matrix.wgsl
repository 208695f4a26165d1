// conv2d by implicit GEMM in tensor cores, forward pass and input gradient: f16 operands and output, f32 sums. For GPUs that list a
// size of subgroup matrices.
//
//   y[n, out] = sum over taps and c of x[n, in(out, tap)] weight[tap, c]       in = place * STEP + (origin + tap * SPACING) / DIVISOR
//
// A workgroup of 8 subgroups computes TILE_ROWS places x TILE_COLUMNS columns of y, seen as the matrix [places, K], each subgroup 32
// columns of 64, 32 or 16 places as matrices of 16 rows that stay in its registers. A step takes 32 of the R S C products that make
// a value: channels of one tap or, where there are few, of several. Tiles, strides and the way of the sums through workgroup memory
// are those of matmul/matrix.wgsl; so is the rule: never subgroup arithmetic here.
//
// The geometry is constant (one pipeline per shape), but for the number of images, and origin and phase: the phases of an input
// gradient with a stride share a pipeline.
//
// With STATS it also writes, per tile, every column's mean and sum of squared deviations, of the sums before they are rounded: batch
// norm's partials.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const TILE_ROWS: u32 = 64u;      // 64, 128 or, with 64 columns, 256
const TILE_COLUMNS: u32 = 64u;   // 64 or 128
const MATRIX_COLUMNS: u32 = 16u; // 16 or 8: what the adapter lists. Rows are 16
const MATRIX_DEPTH: u32 = 16u;   // 16 or 8
const SUM_STRIDE: u32 = 8u;      // 9 spares bank conflicts, where there are more than 16 KB of workgroup memory
const STATS: bool = true;        // write partials
const ADDS: bool = false;        // add to y
// Replaced, so that what overflows is infinite on every driver: see PACK_HALVES.
fn pack(v: vec4f) -> vec2u { return vec2u(pack2x16float(v.xy), pack2x16float(v.zw)); }

const X_SIZE: vec3u = vec3u(8u, 8u, 16u); // height, width, C: of x forward, of dy in the input gradient. C is a multiple of 8
const Y_SIZE: vec3u = vec3u(8u, 8u, 64u); // height, width, K: of the whole output. K is a multiple of 8
const PLACES: vec2u = vec2u(8u, 8u);      // rows and columns of places: all of y, or the most that a phase of dx has
const TAPS: vec2u = vec2u(3u, 3u);        // R, S
const STEP: vec2i = vec2i(1, 1);          // from one place to the next in x
const SPACING: vec2i = vec2i(1, 1);       // from one tap to the next in x, times DIVISOR
const DIVISOR: vec2i = vec2i(1, 1);       // taps whose position it does not divide contribute nothing
const SPREAD: vec2u = vec2u(1u, 1u);      // from one place to the next in y

alias Left = subgroup_matrix_left<f16, MATRIX_DEPTH, 16>;
alias Right = subgroup_matrix_right<f16, MATRIX_COLUMNS, MATRIX_DEPTH>;
alias Sum = subgroup_matrix_result<f32, MATRIX_COLUMNS, 16>;

const DEPTH = TAPS.x * TAPS.y * X_SIZE.z;
const STEPS = (DEPTH + 31u) / 32u;
const CHANNEL_VECTORS = X_SIZE.z / 8u; // vec4us in a pixel of x, of y
const COLUMN_VECTORS = Y_SIZE.z / 8u;
const COLUMN_TILES = (Y_SIZE.z + TILE_COLUMNS - 1u) / TILE_COLUMNS;
const ONE_TAP = X_SIZE.z % 32u == 0u; // in every step

// Subgroups beside each other, the rows of each, and those in matrices.
const ACROSS = TILE_COLUMNS / 32u;
const SUBGROUP_ROWS = TILE_ROWS * ACROSS / 8u;
const ROW_MATRICES = SUBGROUP_ROWS / 16u;
const NARROW = MATRIX_COLUMNS == 8u;

// The operands in workgroup memory, in vec4us: [TILE_ROWS, 32 products] and, behind it, [32 products, TILE_COLUMNS].
const A_STRIDE = 5u;
const B_START = TILE_ROWS * A_STRIDE;
const TILE_VECTORS = TILE_COLUMNS / 8u;
const B_STRIDE = TILE_VECTORS + 1u;
const OPERANDS = B_START + 32u * B_STRIDE;
// The sums use the same memory: 16 rows of 32 columns in f32 for each subgroup, SUM_STRIDE vec4s apart.
const SUMS = 16u * SUM_STRIDE;
// How the 256 invocations load weights and store y: so many rows at a time.
const SWEEP = 256u / TILE_VECTORS;

struct Params {
  images: u32,
  origin: vec2i, // of tap 0 in x, times DIVISOR
  phase: vec2u,  // first place in y
}

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read> weight: array<vec4u>; // [R, S, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> tile: array<vec4u, max(OPERANDS, 8u * SUMS)>;

fn place_count() -> u32 { return params.images * (PLACES.x * PLACES.y); }

// A place: its image, row and column.
fn place(index: u32) -> vec3u {
  let i = min(index, place_count() - 1u);
  return vec3u(i / (PLACES.x * PLACES.y), i / PLACES.y % PLACES.x, i % PLACES.y);
}

fn position(tap: u32) -> vec2i { return params.origin + SPACING * vec2i(i32(tap / TAPS.y), i32(tap % TAPS.y)); }

fn contributes(tap: u32) -> bool { return all(position(tap) % DIVISOR == vec2i(0)); }

// False for steps whose only tap another phase sees. The same for the whole workgroup.
fn has_products(step: u32) -> bool { return !ONE_TAP || contributes(step * 32u / X_SIZE.z); }

// What lies outside is loaded from the first element, and becomes zero when it is put down, after the multiplication: a load in a branch,
// or a choice right behind it, is waited for on the spot.
struct Loaded { value: vec4u, inside: bool }

fn shown(v: Loaded) -> vec4u { return select(vec4u(), v.value, v.inside); }

// Eight channels of a place under their tap: nothing outside of the image, past the last and for taps that do not contribute.
fn load_x(place: vec3u, vector: u32) -> Loaded {
  let tap = vector / CHANNEL_VECTORS;
  let at = vec2i(place.yz) * STEP + position(tap) / DIVISOR;
  let inside = u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y && vector < DEPTH / 8u && contributes(tap);
  let index = ((place.x * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y)) * CHANNEL_VECTORS + vector % CHANNEL_VECTORS;
  return Loaded(x[select(0u, index, inside)], inside);
}

fn load_weight(row: u32, column: u32) -> Loaded {
  let inside = row < DEPTH && column < COLUMN_VECTORS;
  return Loaded(weight[select(0u, row * COLUMN_VECTORS + column, inside)], inside);
}

// Means and squared deviations of 8 columns over the places that an invocation has stored.
struct Statistics { count: f32, mean0: vec4f, mean1: vec4f, squares0: vec4f, squares1: vec4f }

// One place more (Welford, 1962).
fn include(statistics: ptr<function, Statistics>, v0: vec4f, v1: vec4f) {
  (*statistics).count += 1.0;
  let share = 1.0 / (*statistics).count;
  let d0 = v0 - (*statistics).mean0;
  let d1 = v1 - (*statistics).mean1;
  (*statistics).mean0 += d0 * share;
  (*statistics).mean1 += d1 * share;
  (*statistics).squares0 += d0 * (v0 - (*statistics).mean0);
  (*statistics).squares1 += d1 * (v1 - (*statistics).mean1);
}

// Which of the tile's places lies in a row of what the subgroups have put down; `strip` counts their matrices.
fn place_of(strip: u32, row: u32) -> u32 { return row / 16u * SUBGROUP_ROWS + strip * 16u + row % 16u; }

// Where such a row lies in y, if it does: its vec4u of 8 columns.
struct Target { at: u32, inside: bool }

fn target_of(index: u32, column: u32) -> Target {
  let own = place(index);
  let to = own.yz * SPREAD + params.phase;
  // A phase may have fewer places than PLACES.
  let inside = index < place_count() && to.x < Y_SIZE.x && to.y < Y_SIZE.y && column < COLUMN_VECTORS;
  return Target(((own.x * Y_SIZE.x + to.x) * Y_SIZE.y + to.y) * COLUMN_VECTORS + column, inside);
}

// What y holds there, if that is to be added to. What is not this invocation's is read for nothing, maybe while its owner writes it.
fn load_y(held: Target) -> vec4u {
  if (!ADDS) { return vec4u(); }
  return select(vec4u(), y[select(0u, held.at, held.inside)], held.inside);
}

// Stores 8 columns of such a row, added to what was there.
fn store_row(strip: u32, row: u32, first: u32, vector: u32, to: Target, held: vec4u, statistics: ptr<function, Statistics>) {
  let source = (row / 16u * ACROSS + vector / 4u) * SUMS + row % 16u * SUM_STRIDE + vector % 4u * 2u;
  let v0 = bitcast<vec4f>(tile[source]) + vec4f(unpack2x16float(held.x), unpack2x16float(held.y));
  let v1 = bitcast<vec4f>(tile[source + 1u]) + vec4f(unpack2x16float(held.z), unpack2x16float(held.w));
  if (first + place_of(strip, row) >= place_count()) { return; }
  if (STATS) { include(statistics, v0, v1); }
  if (to.inside) {
    y[to.at] = vec4u(pack(v0), pack(v1));
  }
}

// Two of them: both load before the first stores.
fn store_rows(strip: u32, local: u32, first: u32, first_column: u32, statistics: ptr<function, Statistics>) {
  let vector = local % TILE_VECTORS;
  let row = local / TILE_VECTORS;
  let to0 = target_of(first + place_of(strip, row), first_column + vector);
  let to1 = target_of(first + place_of(strip, row + SWEEP), first_column + vector);
  let held0 = load_y(to0);
  let held1 = load_y(to1);
  store_row(strip, row, first, vector, to0, held0, statistics);
  store_row(strip, row + SWEEP, first, vector, to1, held1, statistics);
}

// How many of a row's places, one in each strip, exist.
fn places_in_row(row: u32, tile_places: u32) -> u32 {
  let before = place_of(0u, row);
  return min((max(tile_places, before) - before + 15u) / 16u, ROW_MATRICES);
}

// Four columns of the whole tile from those of the SWEEP rows of invocations (Chan, Golub and LeVeque, 1979). The first has places.
fn store_partials(first: u32, vector: u32, out: u32) {
  let tile_places = min(place_count() - first, TILE_ROWS);
  let own = vector % 2u * 256u + vector / 2u;
  var mean = vec4f(0.0);
  var squares = vec4f(0.0);
  var count = 0.0;
  for (var i = 0u; i < SWEEP; i++) {
    let more = f32(places_in_row(i, tile_places) + places_in_row(i + SWEEP, tile_places));
    let d = bitcast<vec4f>(tile[own + i * TILE_VECTORS]) - mean;
    let share = more / (count + more);
    mean += d * share;
    squares += bitcast<vec4f>(tile[own + i * TILE_VECTORS + 512u]) + d * d * (count * share);
    count += more;
  }
  let at = first / TILE_ROWS * (4u * COLUMN_VECTORS) + out;
  partials[at] = mean;
  partials[at + 2u * COLUMN_VECTORS] = squares;
}

// What an invocation copies of a strip of each operand.
struct Strip { a0: Loaded, a1: Loaded, a2: Loaded, a3: Loaded, b0: Loaded, b1: Loaded }

// The places that it copies from.
struct Places { p0: vec3u, p1: vec3u, p2: vec3u, p3: vec3u }

fn load_strip(step: u32, places: Places, x_vector: u32, weight_row: u32, column: u32) -> Strip {
  let vector = step * 4u + x_vector;
  let row = step * 32u + weight_row;
  var strip: Strip;
  strip.a0 = load_x(places.p0, vector);
  if (TILE_ROWS > 64u) { strip.a1 = load_x(places.p1, vector); }
  if (TILE_ROWS > 128u) {
    strip.a2 = load_x(places.p2, vector);
    strip.a3 = load_x(places.p3, vector);
  }
  strip.b0 = load_weight(row, column);
  if (SWEEP < 32u) { strip.b1 = load_weight(row + SWEEP, column); }
  return strip;
}

fn put_strip(strip: Strip, a_at: u32, b_at: u32) {
  tile[a_at] = shown(strip.a0);
  if (TILE_ROWS > 64u) { tile[a_at + 64u * A_STRIDE] = shown(strip.a1); }
  if (TILE_ROWS > 128u) {
    tile[a_at + 128u * A_STRIDE] = shown(strip.a2);
    tile[a_at + 192u * A_STRIDE] = shown(strip.a3);
  }
  tile[b_at] = shown(strip.b0);
  if (SWEEP < 32u) { tile[b_at + SWEEP * B_STRIDE] = shown(strip.b1); }
}

@compute @workgroup_size(256)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_id) subgroup: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  let first = index / COLUMN_TILES * TILE_ROWS;
  if (first >= place_count()) { return; }
  let first_column = index % COLUMN_TILES * TILE_VECTORS;

  // What this invocation copies: every 64th place, every SWEEP-th row of weights.
  let x_row = first + local / 4u;
  let x_vector = local % 4u;
  let places = Places(place(x_row), place(x_row + 64u), place(x_row + 128u), place(x_row + 192u));
  let a_at = local / 4u * A_STRIDE + x_vector;
  let b_row = local / TILE_VECTORS;
  let b_column = first_column + local % TILE_VECTORS;
  let b_at = B_START + b_row * B_STRIDE + local % TILE_VECTORS;
  var strip = load_strip(0u, places, x_vector, b_row, b_column);

  // [row of matrices][column of matrices], of this subgroup.
  var s00: Sum; var s01: Sum; var s02: Sum; var s03: Sum;
  var s10: Sum; var s11: Sum; var s12: Sum; var s13: Sum;
  var s20: Sum; var s21: Sum; var s22: Sum; var s23: Sum;
  var s30: Sum; var s31: Sum; var s32: Sum; var s33: Sum;
  let left_start = subgroup / ACROSS * (SUBGROUP_ROWS * A_STRIDE);
  let right_start = B_START + subgroup % ACROSS * 4u;

  put_strip(strip, a_at, b_at);
  workgroupBarrier();
  for (var step = 0u; step < STEPS; step++) {
    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    // (`more` is constant but with a stride, and the same for all.)
    let next = min(step + 1u, STEPS - 1u);
    let more = has_products(next);
    if (more) { strip = load_strip(next, places, x_vector, b_row, b_column); }
    if (has_products(step)) {
      for (var slice = 0u; slice < 32u / MATRIX_DEPTH; slice++) {
        let left_at = left_start + slice * (MATRIX_DEPTH / 8u);
        let right_at = right_start + slice * (MATRIX_DEPTH * B_STRIDE);
        let right0 = subgroupMatrixLoad<Right, row_major>(&tile, right_at, B_STRIDE);
        let right1 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + MATRIX_COLUMNS / 8u, B_STRIDE);
        var right2: Right;
        var right3: Right;
        if (NARROW) {
          right2 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + 2u, B_STRIDE);
          right3 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + 3u, B_STRIDE);
        }
        let left0 = subgroupMatrixLoad<Left, row_major>(&tile, left_at, A_STRIDE);
        s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
        s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
        if (NARROW) {
          s02 = subgroupMatrixMultiplyAccumulate(left0, right2, s02);
          s03 = subgroupMatrixMultiplyAccumulate(left0, right3, s03);
        }
        if (ROW_MATRICES > 1u) {
          let left1 = subgroupMatrixLoad<Left, row_major>(&tile, left_at + 16u * A_STRIDE, A_STRIDE);
          s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
          s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
          if (NARROW) {
            s12 = subgroupMatrixMultiplyAccumulate(left1, right2, s12);
            s13 = subgroupMatrixMultiplyAccumulate(left1, right3, s13);
          }
        }
        if (ROW_MATRICES > 2u) {
          let left2 = subgroupMatrixLoad<Left, row_major>(&tile, left_at + 32u * A_STRIDE, A_STRIDE);
          let left3 = subgroupMatrixLoad<Left, row_major>(&tile, left_at + 48u * A_STRIDE, A_STRIDE);
          s20 = subgroupMatrixMultiplyAccumulate(left2, right0, s20);
          s21 = subgroupMatrixMultiplyAccumulate(left2, right1, s21);
          s30 = subgroupMatrixMultiplyAccumulate(left3, right0, s30);
          s31 = subgroupMatrixMultiplyAccumulate(left3, right1, s31);
          if (NARROW) {
            s22 = subgroupMatrixMultiplyAccumulate(left2, right2, s22);
            s23 = subgroupMatrixMultiplyAccumulate(left2, right3, s23);
            s32 = subgroupMatrixMultiplyAccumulate(left3, right2, s32);
            s33 = subgroupMatrixMultiplyAccumulate(left3, right3, s33);
          }
        }
      }
    }
    workgroupBarrier();
    if (more) { put_strip(strip, a_at, b_at); }
    workgroupBarrier();
  }

  var statistics: Statistics;
  let sum_at = subgroup * SUMS;
  subgroupMatrixStore<row_major>(&tile, sum_at, s00, SUM_STRIDE);
  subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s01, SUM_STRIDE);
  if (NARROW) {
    subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s02, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s03, SUM_STRIDE);
  }
  workgroupBarrier();
  store_rows(0u, local, first, first_column, &statistics);
  if (ROW_MATRICES > 1u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s10, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s11, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s12, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s13, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(1u, local, first, first_column, &statistics);
  }
  if (ROW_MATRICES > 2u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s20, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s21, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s22, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s23, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(2u, local, first, first_column, &statistics);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s30, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s31, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s32, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s33, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(3u, local, first, first_column, &statistics);
  }
  if (STATS) {
    workgroupBarrier();
    tile[local] = bitcast<vec4u>(statistics.mean0);
    tile[local + 256u] = bitcast<vec4u>(statistics.mean1);
    tile[local + 512u] = bitcast<vec4u>(statistics.squares0);
    tile[local + 768u] = bitcast<vec4u>(statistics.squares1);
    workgroupBarrier();
    let out = first_column * 2u + local;
    if (local < 2u * TILE_VECTORS && out < 2u * COLUMN_VECTORS) { store_partials(first, local % (2u * TILE_VECTORS), out); }
  }
}
