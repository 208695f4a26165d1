// y[m,n] = sum over k of a[m,k] b[k,n] in tensor cores: f16 operands, f32 sums. For GPUs that list a size of subgroup matrices.
//
// A workgroup of 8 subgroups computes TILE_ROWS x TILE_COLUMNS values, each subgroup 32 columns of 64, 32 or 16 rows as matrices of
// 16 rows that stay in its registers. 32 steps of k at a time, the strips of a and b are copied into workgroup memory as they are
// stored, 8 halves a vec4u. Rows are a vec4u longer there than what they hold: the 8 rows that are read together then lie in
// different banks, and a row's bytes still divide by 16, as they must. The loads of the next strips are under way to registers while
// these are multiplied.
//
// Tails: what is past the last row, column or k counts as zeros and is not stored. Sums cannot be taken apart in registers, so they
// go through workgroup memory, 16 rows of each subgroup at a time.
//
// Never add subgroup arithmetic (subgroupAdd and the like) here: with matrices in the same module a driver of NVIDIA's crashes.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const TILE_ROWS: u32 = 64u;      // 64, 128 or, with 64 columns, 256
const TILE_COLUMNS: u32 = 64u;   // 64 or 128
const MATRIX_COLUMNS: u32 = 16u; // 16 or 8: what the adapter lists. Rows are 16
const MATRIX_DEPTH: u32 = 16u;   // 16 or 8
const SUM_STRIDE: u32 = 8u;      // 9 spares bank conflicts, where there are more than 16 KB of workgroup memory
const ROWS: u32 = 64u;           // M
const COLUMNS: u32 = 64u;        // N, a multiple of 8
const DEPTH: u32 = 64u;          // K, a multiple of 8

alias Left = subgroup_matrix_left<f16, MATRIX_DEPTH, 16>;
alias Right = subgroup_matrix_right<f16, MATRIX_COLUMNS, MATRIX_DEPTH>;
alias Sum = subgroup_matrix_result<f32, MATRIX_COLUMNS, 16>;

const STEPS = (DEPTH + 31u) / 32u;
const ROW_TILES = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const COLUMN_TILES = (COLUMNS + TILE_COLUMNS - 1u) / TILE_COLUMNS;
const A_VECTORS = DEPTH / 8u; // vec4us in a row of a, of b
const B_VECTORS = COLUMNS / 8u;

// Subgroups beside each other, the rows of each, and those in matrices.
const ACROSS = TILE_COLUMNS / 32u;
const SUBGROUP_ROWS = TILE_ROWS * ACROSS / 8u;
const ROW_MATRICES = SUBGROUP_ROWS / 16u;
const NARROW = MATRIX_COLUMNS == 8u;

// The operands in workgroup memory, in vec4us: [TILE_ROWS, 32 of k] and, behind it, [32 of k, TILE_COLUMNS].
const A_STRIDE = 5u;
const B_START = TILE_ROWS * A_STRIDE;
const TILE_VECTORS = TILE_COLUMNS / 8u;
const B_STRIDE = TILE_VECTORS + 1u;
const OPERANDS = B_START + 32u * B_STRIDE;
// The sums use the same memory: 16 rows of 32 columns in f32 for each subgroup, SUM_STRIDE vec4s apart.
const SUMS = 16u * SUM_STRIDE;
// How the 256 invocations load b and store y: so many rows at a time.
const SWEEP = 256u / TILE_VECTORS;

@group(0) @binding(0) var<storage, read> a: array<vec4u>; // [M, K]
@group(0) @binding(1) var<storage, read> b: array<vec4u>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]

var<workgroup> tile: array<vec4u, max(OPERANDS, 8u * SUMS)>;

// What lies outside is loaded from the first element, and becomes zero when it is put down, after the multiplication: a load in a branch,
// or a choice right behind it, is waited for on the spot.
struct Loaded { value: vec4u, inside: bool }

fn shown(v: Loaded) -> vec4u { return select(vec4u(), v.value, v.inside); }

fn load_a(row: u32, vector: u32) -> Loaded {
  let inside = row < ROWS && vector < A_VECTORS;
  return Loaded(a[select(0u, row * A_VECTORS + vector, inside)], inside);
}

fn load_b(k: u32, vector: u32) -> Loaded {
  let inside = k < DEPTH && vector < B_VECTORS;
  return Loaded(b[select(0u, k * B_VECTORS + vector, inside)], inside);
}

// Stores 8 columns of one of the rows that the subgroups have put down; `strip` counts their matrices.
fn store_row(strip: u32, row: u32, first: u32, vector: u32, column: u32) {
  let at = (row / 16u * ACROSS + vector / 4u) * SUMS + row % 16u * SUM_STRIDE + vector % 4u * 2u;
  let target_row = first + row / 16u * SUBGROUP_ROWS + strip * 16u + row % 16u;
  if (target_row < ROWS && column < B_VECTORS) {
    y[(target_row * B_VECTORS + column) * 2u] = bitcast<vec4f>(tile[at]);
    y[(target_row * B_VECTORS + column) * 2u + 1u] = bitcast<vec4f>(tile[at + 1u]);
  }
}

fn store_rows(strip: u32, local: u32, first: u32, first_column: u32) {
  let vector = local % TILE_VECTORS;
  store_row(strip, local / TILE_VECTORS, first, vector, first_column + vector);
  store_row(strip, local / TILE_VECTORS + SWEEP, first, vector, first_column + vector);
}

// What an invocation copies of a strip of each operand.
struct Strip { a0: Loaded, a1: Loaded, a2: Loaded, a3: Loaded, b0: Loaded, b1: Loaded }

fn load_strip(step: u32, first_row: u32, a_vector: u32, b_row: u32, column: u32) -> Strip {
  let vector = step * 4u + a_vector;
  let k = step * 32u + b_row;
  var strip: Strip;
  strip.a0 = load_a(first_row, vector);
  if (TILE_ROWS > 64u) { strip.a1 = load_a(first_row + 64u, vector); }
  if (TILE_ROWS > 128u) {
    strip.a2 = load_a(first_row + 128u, vector);
    strip.a3 = load_a(first_row + 192u, vector);
  }
  strip.b0 = load_b(k, column);
  if (SWEEP < 32u) { strip.b1 = load_b(k + SWEEP, column); }
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
  if (index >= ROW_TILES * COLUMN_TILES) { return; }
  let first = index / COLUMN_TILES * TILE_ROWS;
  let first_column = index % COLUMN_TILES * TILE_VECTORS;

  // What this invocation copies: of a every 64th row, of b every SWEEP-th.
  let a_row = first + local / 4u;
  let a_vector = local % 4u;
  let a_at = local / 4u * A_STRIDE + a_vector;
  let b_row = local / TILE_VECTORS;
  let b_column = first_column + local % TILE_VECTORS;
  let b_at = B_START + b_row * B_STRIDE + local % TILE_VECTORS;
  var strip = load_strip(0u, a_row, a_vector, b_row, b_column);

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
    strip = load_strip(min(step + 1u, STEPS - 1u), a_row, a_vector, b_row, b_column);
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
  store_rows(0u, local, first, first_column);
  if (ROW_MATRICES > 1u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s10, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s11, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s12, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s13, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(1u, local, first, first_column);
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
    store_rows(2u, local, first, first_column);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile, sum_at, s30, SUM_STRIDE);
    subgroupMatrixStore<row_major>(&tile, sum_at + MATRIX_COLUMNS / 4u, s31, SUM_STRIDE);
    if (NARROW) {
      subgroupMatrixStore<row_major>(&tile, sum_at + 4u, s32, SUM_STRIDE);
      subgroupMatrixStore<row_major>(&tile, sum_at + 6u, s33, SUM_STRIDE);
    }
    workgroupBarrier();
    store_rows(3u, local, first, first_column);
  }
}
