// conv2d's weight gradient by implicit GEMM in tensor cores: f16 operands, f32 sums. For GPUs that list a size of subgroup matrices.
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: a workgroup of 8 subgroups computes TILE_ROWS x TILE_COLUMNS of it over the output pixels (n, p, q)
// of its split, each subgroup 32 columns of 64, 32 or 16 rows as matrices of 16 rows that stay in its registers. A step brings 32
// pixels. Both operands lie in workgroup memory as they are loaded, a pixel a row: the left matrices are read from there column by
// column, which transposes them. Strides and the way of the sums through workgroup memory are those of matmul/matrix.wgsl; so is
// the rule: never subgroup arithmetic here. The splits' sums are added by a second dispatch, in fixed order.
//
// The geometry is constant (one pipeline per shape); the number of images, which changes at the end of an epoch, is not.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const TILE_ROWS: u32 = 64u;      // 64, 128 or, with 64 columns, 256
const TILE_COLUMNS: u32 = 64u;   // 64 or 128
const MATRIX_COLUMNS: u32 = 16u; // 16 or 8: what the adapter lists. Rows are 16
const MATRIX_DEPTH: u32 = 16u;   // 16 or 8
const SUM_STRIDE: u32 = 8u;      // 9 spares bank conflicts, where there are more than 16 KB of workgroup memory

const X_SIZE: vec3u = vec3u(8u, 8u, 16u);  // H, W, C; C is a multiple of 8
const DY_SIZE: vec3u = vec3u(8u, 8u, 64u); // P, Q, K; K is a multiple of 8
const TAPS: vec2u = vec2u(3u, 3u);         // R, S
const STRIDE: vec2i = vec2i(1, 1);
const PADDING: vec2i = vec2i(1, 1);
const DILATION: vec2i = vec2i(1, 1);

alias Left = subgroup_matrix_left<f16, MATRIX_DEPTH, 16>;
alias Right = subgroup_matrix_right<f16, MATRIX_COLUMNS, MATRIX_DEPTH>;
alias Sum = subgroup_matrix_result<f32, MATRIX_COLUMNS, 16>;

const CHANNEL_VECTORS = X_SIZE.z / 8u; // vec4us in a pixel of x, of dy
const COLUMN_VECTORS = DY_SIZE.z / 8u;
const ROWS = TAPS.x * TAPS.y * X_SIZE.z;
const ROW_TILES = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const COLUMN_TILES = (DY_SIZE.z + TILE_COLUMNS - 1u) / TILE_COLUMNS;

// Subgroups beside each other, the rows of each, and those in matrices.
const ACROSS = TILE_COLUMNS / 32u;
const SUBGROUP_ROWS = TILE_ROWS * ACROSS / 8u;
const ROW_MATRICES = SUBGROUP_ROWS / 16u;
const NARROW = MATRIX_COLUMNS == 8u;

// The operands in workgroup memory, in vec4us: [32 pixels, TILE_ROWS] and, behind it, [32 pixels, TILE_COLUMNS].
const X_VECTORS = TILE_ROWS / 8u;
const A_STRIDE = X_VECTORS + 1u;
const B_START = 32u * A_STRIDE;
const TILE_VECTORS = TILE_COLUMNS / 8u;
const B_STRIDE = TILE_VECTORS + 1u;
const OPERANDS = B_START + 32u * B_STRIDE;
// The sums use the same memory: 16 rows of 32 columns in f32 for each subgroup, SUM_STRIDE vec4s apart.
const SUMS = 16u * SUM_STRIDE;
// How the 256 invocations load x, and dy as they store sums: so many pixels or rows at a time.
const X_SWEEP = 256u / X_VECTORS;
const SWEEP = 256u / TILE_VECTORS;

// Constant, and more than any split has: such a loop needs no guard against running forever, one bounded by Params gets one.
const MOST_STEPS: u32 = 1048576u;

struct Params {
  images: u32,
  splits: u32,
  steps: u32, // of 32 pixels, in one split
}

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read> dy: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tile: array<vec4u, max(OPERANDS, 8u * SUMS)>;

// Where 8 matrix rows come from: their tap's offset and their channels. C is a multiple of 8, so they share the tap.
struct Row { offset: vec2i, channel: u32, exists: bool }

fn row_source(vector: u32) -> Row {
  let tap = vector / CHANNEL_VECTORS;
  let offset = vec2i(i32(tap / TAPS.y), i32(tap % TAPS.y)) * DILATION - PADDING;
  return Row(offset, vector % CHANNEL_VECTORS, vector < ROWS / 8u);
}

// What lies outside is loaded from the first element, and becomes zero when it is put down, after the multiplication: a load in a branch,
// or a choice right behind it, is waited for on the spot.
struct Loaded { value: vec4u, inside: bool }

fn shown(v: Loaded) -> vec4u { return select(vec4u(), v.value, v.inside); }

fn load_x(pixel: u32, row: Row) -> Loaded {
  let image = pixel / (DY_SIZE.x * DY_SIZE.y);
  let at = vec2i(i32(pixel / DY_SIZE.y % DY_SIZE.x), i32(pixel % DY_SIZE.y)) * STRIDE + row.offset;
  let inside = row.exists && image < params.images && u32(at.x) < X_SIZE.x && u32(at.y) < X_SIZE.y;
  let index = ((image * X_SIZE.x + u32(at.x)) * X_SIZE.y + u32(at.y)) * CHANNEL_VECTORS + row.channel;
  return Loaded(x[select(0u, index, inside)], inside);
}

fn load_dy(pixel: u32, column: u32) -> Loaded {
  let inside = pixel < params.images * (DY_SIZE.x * DY_SIZE.y) && column < COLUMN_VECTORS;
  return Loaded(dy[select(0u, pixel * COLUMN_VECTORS + column, inside)], inside);
}

// Stores 8 columns of one of the rows that the subgroups have put down; `strip` counts their matrices.
fn store_row(strip: u32, row: u32, start: u32, first: u32, vector: u32, column: u32) {
  let source = (row / 16u * ACROSS + vector / 4u) * SUMS + row % 16u * SUM_STRIDE + vector % 4u * 2u;
  let target_row = first + row / 16u * SUBGROUP_ROWS + strip * 16u + row % 16u;
  if (target_row < ROWS && column < COLUMN_VECTORS) {
    let at = start + (target_row * COLUMN_VECTORS + column) * 2u;
    dweight[at] = bitcast<vec4f>(tile[source]);
    dweight[at + 1u] = bitcast<vec4f>(tile[source + 1u]);
  }
}

fn store_rows(strip: u32, local: u32, start: u32, first: u32, first_column: u32) {
  let vector = local % TILE_VECTORS;
  store_row(strip, local / TILE_VECTORS, start, first, vector, first_column + vector);
  store_row(strip, local / TILE_VECTORS + SWEEP, start, first, vector, first_column + vector);
}

// What an invocation copies of a strip of each operand.
struct Strip { a0: Loaded, a1: Loaded, a2: Loaded, a3: Loaded, b0: Loaded, b1: Loaded }

fn load_strip(step: u32, source: Row, x_first: u32, dy_first: u32, column: u32) -> Strip {
  let x_pixel = step * 32u + x_first;
  let dy_pixel = step * 32u + dy_first;
  var strip: Strip;
  strip.a0 = load_x(x_pixel, source);
  if (X_SWEEP < 32u) { strip.a1 = load_x(x_pixel + X_SWEEP, source); }
  if (X_SWEEP < 16u) {
    strip.a2 = load_x(x_pixel + 2u * X_SWEEP, source);
    strip.a3 = load_x(x_pixel + 3u * X_SWEEP, source);
  }
  strip.b0 = load_dy(dy_pixel, column);
  if (SWEEP < 32u) { strip.b1 = load_dy(dy_pixel + SWEEP, column); }
  return strip;
}

fn put_strip(strip: Strip, a_at: u32, b_at: u32) {
  tile[a_at] = shown(strip.a0);
  if (X_SWEEP < 32u) { tile[a_at + X_SWEEP * A_STRIDE] = shown(strip.a1); }
  if (X_SWEEP < 16u) {
    tile[a_at + 2u * X_SWEEP * A_STRIDE] = shown(strip.a2);
    tile[a_at + 3u * X_SWEEP * A_STRIDE] = shown(strip.a3);
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
  let split = index / (ROW_TILES * COLUMN_TILES);
  if (split >= params.splits) { return; }
  let first = index / COLUMN_TILES % ROW_TILES * TILE_ROWS;
  let first_column = index % COLUMN_TILES * TILE_VECTORS;
  let start = split * (ROWS * COLUMN_VECTORS * 2u);

  // What this invocation copies: of x every X_SWEEP-th pixel, of dy every SWEEP-th.
  let source = row_source(first / 8u + local % X_VECTORS);
  let b_column = first_column + local % TILE_VECTORS;
  let x_pixel = split * params.steps * 32u + local / X_VECTORS;
  let dy_pixel = split * params.steps * 32u + local / TILE_VECTORS;
  let a_at = local / X_VECTORS * A_STRIDE + local % X_VECTORS;
  let b_at = B_START + local / TILE_VECTORS * B_STRIDE + local % TILE_VECTORS;
  var strip = load_strip(0u, source, x_pixel, dy_pixel, b_column);

  // [row of matrices][column of matrices], of this subgroup.
  var s00: Sum; var s01: Sum; var s02: Sum; var s03: Sum;
  var s10: Sum; var s11: Sum; var s12: Sum; var s13: Sum;
  var s20: Sum; var s21: Sum; var s22: Sum; var s23: Sum;
  var s30: Sum; var s31: Sum; var s32: Sum; var s33: Sum;
  let left_start = subgroup / ACROSS * (SUBGROUP_ROWS / 8u);
  let right_start = B_START + subgroup % ACROSS * 4u;

  put_strip(strip, a_at, b_at);
  workgroupBarrier();
  for (var step = 0u; step < MOST_STEPS; step++) {
    if (step >= params.steps) { break; }
    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    strip = load_strip(min(step + 1u, params.steps - 1u), source, x_pixel, dy_pixel, b_column);
    for (var slice = 0u; slice < 32u / MATRIX_DEPTH; slice++) {
      let left_at = left_start + slice * (MATRIX_DEPTH * A_STRIDE);
      let right_at = right_start + slice * (MATRIX_DEPTH * B_STRIDE);
      let right0 = subgroupMatrixLoad<Right, row_major>(&tile, right_at, B_STRIDE);
      let right1 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + MATRIX_COLUMNS / 8u, B_STRIDE);
      var right2: Right;
      var right3: Right;
      if (NARROW) {
        right2 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + 2u, B_STRIDE);
        right3 = subgroupMatrixLoad<Right, row_major>(&tile, right_at + 3u, B_STRIDE);
      }
      let left0 = subgroupMatrixLoad<Left, col_major>(&tile, left_at, A_STRIDE);
      s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
      s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
      if (NARROW) {
        s02 = subgroupMatrixMultiplyAccumulate(left0, right2, s02);
        s03 = subgroupMatrixMultiplyAccumulate(left0, right3, s03);
      }
      if (ROW_MATRICES > 1u) {
        let left1 = subgroupMatrixLoad<Left, col_major>(&tile, left_at + 2u, A_STRIDE);
        s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
        s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
        if (NARROW) {
          s12 = subgroupMatrixMultiplyAccumulate(left1, right2, s12);
          s13 = subgroupMatrixMultiplyAccumulate(left1, right3, s13);
        }
      }
      if (ROW_MATRICES > 2u) {
        let left2 = subgroupMatrixLoad<Left, col_major>(&tile, left_at + 4u, A_STRIDE);
        let left3 = subgroupMatrixLoad<Left, col_major>(&tile, left_at + 6u, A_STRIDE);
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
    workgroupBarrier();
    put_strip(strip, a_at, b_at);
    workgroupBarrier();
  }

  let sum_at = subgroup * SUMS;
  subgroupMatrixStore<row_major>(&tile, sum_at, s00, SUM_STRIDE);
  subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s01, SUM_STRIDE);
  if (NARROW) {
    subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s02, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s03, SUM_STRIDE);
  }
  workgroupBarrier();
  store_rows(0u, local, start, first, first_column);
  if (ROW_MATRICES > 1u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s10, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s11, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s12, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s13, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(1u, local, start, first, first_column);
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
    store_rows(2u, local, start, first, first_column);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s30, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s31, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s32, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s33, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(3u, local, start, first, first_column);
  }
}
