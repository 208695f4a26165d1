// Winograd's products, one for each plane: y = a b, for real GPUs. The forward pass multiplies a = V [tiles, C] by b = U [C, K]; the
// weight gradient multiplies the transposed V by dm [tiles, K], and then V's rows are the ones to sum over: many for few results, so
// that splits of them go to different workgroups, and a second dispatch adds the splits in fixed order.
//
// Tiles, buffers and turns as in matmul/workgroup.wgsl. A transposed a is copied as it is. Otherwise its strips lie in workgroup
// memory as they are stored too, rows of 8 steps: for 4 steps an invocation then reads one vec4 for each of its 8 rows, as many as
// from a transposed strip. Its rows are as far apart as there are invocations below each other, so that neighbours read neighbours.
//
// Sizes are Params: the only indices that the compiler would check are those into workgroup memory, which know nothing of them.

const TILE_ROWS: u32 = 64u;        // 64, 128 or, with 64 columns, 256
const TILE_COLUMNS: u32 = 64u;     // 64 or 128
const TRANSPOSED: bool = false;    // a is stored as [planes, depth, rows]

const THREADS = TILE_ROWS * TILE_COLUMNS / 64u;
// vec4s of a step of the sum, and of a strip of 8 steps.
const A_VECTORS = TILE_ROWS / 4u;
const B_VECTORS = TILE_COLUMNS / 4u;
const A_STRIP = 8u * A_VECTORS;
const B_STRIP = max(8u * B_VECTORS, THREADS); // 256 x 64: half of the invocations copy what the others do, to where nobody reads
const A_LOADS = A_STRIP / THREADS;  // vec4s of a strip that an invocation copies
const A_NEXT = THREADS / A_VECTORS; // steps from its first to its second, where TRANSPOSED
const B_NEXT = THREADS / B_VECTORS; // 8 or more: there is no second
const ACROSS = TILE_COLUMNS / 8u;   // invocations beside each other, below each other
const DOWN = TILE_ROWS / 8u;

// Constant, and more than any split has: such a loop needs no guard against running forever, one bounded by Params gets one.
const MOST_PAIRS: u32 = 1048576u;

struct Params {
  planes: u32,
  rows: u32,    // of y; a multiple of 4 where TRANSPOSED
  columns: u32, // of y and b, in vec4s
  depth: u32,   // of the sum; a multiple of 4
  splits: u32,
  pairs: u32,   // of strips in a split: 16 steps each
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [planes, rows, depth]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [planes, depth, columns]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [splits, planes, rows, columns]
@group(0) @binding(3) var<uniform> params: Params;

// Two strips each. TRANSPOSED: [8 steps][TILE_ROWS], else [TILE_ROWS][8 steps]; b: [8 steps][TILE_COLUMNS]. 24 KB at most (256 x 64).
var<workgroup> a_tile: array<vec4f, 2u * A_STRIP>;
var<workgroup> b_tile: array<vec4f, 2u * B_STRIP>;

// The sums of an invocation, [row][half]: constant indices only, so that they become registers.
alias Sums = array<vec4f, 16>;

// sums += the outer product of eight rows of a and eight columns of b, for one step.
fn multiply_columns(sums: ptr<function, Sums>, a0: vec4f, a1: vec4f, b0: vec4f, b1: vec4f) {
  (*sums)[0] = fma(vec4f(a0.x), b0, (*sums)[0]);
  (*sums)[1] = fma(vec4f(a0.x), b1, (*sums)[1]);
  (*sums)[2] = fma(vec4f(a0.y), b0, (*sums)[2]);
  (*sums)[3] = fma(vec4f(a0.y), b1, (*sums)[3]);
  (*sums)[4] = fma(vec4f(a0.z), b0, (*sums)[4]);
  (*sums)[5] = fma(vec4f(a0.z), b1, (*sums)[5]);
  (*sums)[6] = fma(vec4f(a0.w), b0, (*sums)[6]);
  (*sums)[7] = fma(vec4f(a0.w), b1, (*sums)[7]);
  (*sums)[8] = fma(vec4f(a1.x), b0, (*sums)[8]);
  (*sums)[9] = fma(vec4f(a1.x), b1, (*sums)[9]);
  (*sums)[10] = fma(vec4f(a1.y), b0, (*sums)[10]);
  (*sums)[11] = fma(vec4f(a1.y), b1, (*sums)[11]);
  (*sums)[12] = fma(vec4f(a1.z), b0, (*sums)[12]);
  (*sums)[13] = fma(vec4f(a1.z), b1, (*sums)[13]);
  (*sums)[14] = fma(vec4f(a1.w), b0, (*sums)[14]);
  (*sums)[15] = fma(vec4f(a1.w), b1, (*sums)[15]);
}

// Eight rows of a, four steps each; or four steps of b, two halves each.
struct Eight { v0: vec4f, v1: vec4f, v2: vec4f, v3: vec4f, v4: vec4f, v5: vec4f, v6: vec4f, v7: vec4f }

fn products(sum: vec4f, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f {
  return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}

// The same for four steps.
fn multiply_rows(sums: ptr<function, Sums>, a: Eight, b: Eight) {
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

// Steps past the last count as zeros, from when they are put down, after the multiplication: a load in a branch, or a choice right
// behind it, is waited for on the spot. Rows and columns past the last are loaded from somewhere, and not stored.
struct Loaded { value: vec4f, inside: bool }

fn load_a(at: u32, k: u32) -> Loaded { return Loaded(a[select(0u, at, k < params.depth)], k < params.depth); }
fn load_b(at: u32, k: u32) -> Loaded { return Loaded(b[select(0u, at, k < params.depth)], k < params.depth); }
fn shown(v: Loaded) -> vec4f { return select(vec4f(), v.value, v.inside); }

// vec4s of a between steps k apart, k a multiple of 8.
fn a_steps(k: u32, a_stride: u32) -> u32 { return select(k / 4u, k * a_stride, TRANSPOSED); }

fn store(at: u32, row: u32, column: u32, v0: vec4f, v1: vec4f) {
  if (row >= params.rows) { return; }
  if (column < params.columns) { y[at + row * params.columns + column] = v0; }
  if (column + ACROSS < params.columns) { y[at + row * params.columns + column + ACROSS] = v1; }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let row_tiles = (params.rows + TILE_ROWS - 1u) / TILE_ROWS;
  let column_tiles = (params.columns + B_VECTORS - 1u) / B_VECTORS;
  let index = workgroup.x + workgroup.y * workgroups.x;
  let matrix = index / column_tiles / row_tiles;
  let split = matrix / params.planes;
  let plane = matrix % params.planes;
  if (split >= params.splits) { return; }
  let first_row = index / column_tiles % row_tiles * TILE_ROWS;
  let first_column = index % column_tiles * B_VECTORS;
  let across = local / 2u % 8u + local / 32u % (ACROSS / 8u) * 8u;
  let down = local % 2u + local / 16u % 2u * 2u + local / (4u * ACROSS) * 4u;
  let row = down * 2u; // in vec4s of a strip that is not transposed

  // What this invocation copies: one or two vec4s of a strip of each operand.
  let begin = split * params.pairs * 16u;
  let last_row = params.rows - 1u;
  let a_stride = select(params.depth, params.rows, TRANSPOSED) / 4u;
  let a_plane = plane * (params.rows * params.depth / 4u);
  var a0_k = begin + local % 2u * 4u;
  var a1_k = a0_k;
  var a0_at = a_plane + min(first_row + local / 2u, last_row) * a_stride + a0_k / 4u;
  var a1_at = a_plane + min(first_row + THREADS / 2u + local / 2u, last_row) * a_stride + a0_k / 4u;
  if (TRANSPOSED) {
    a0_k = begin + local / A_VECTORS;
    a1_k = a0_k + A_NEXT;
    a0_at = a_plane + a0_k * a_stride + min(first_row / 4u + local % A_VECTORS, a_stride - 1u);
    a1_at = a0_at + A_NEXT * a_stride;
  }
  let b_k = begin + local / B_VECTORS % 8u;
  let b_at = (plane * params.depth + b_k) * params.columns + min(first_column + local % B_VECTORS, params.columns - 1u);
  var a0 = load_a(a0_at, a0_k);
  var b0 = load_b(b_at, b_k);
  var a1: Loaded;
  var b1: Loaded;
  if (A_LOADS > 1u) { a1 = load_a(a1_at, a1_k); }
  if (B_NEXT < 8u) { b1 = load_b(b_at + B_NEXT * params.columns, b_k + B_NEXT); }
  a_tile[local] = shown(a0);
  b_tile[local] = shown(b0);
  if (A_LOADS > 1u) { a_tile[(local + THREADS) % A_STRIP] = shown(a1); }
  if (B_NEXT < 8u) { b_tile[(local + THREADS) % B_STRIP] = shown(b1); }
  workgroupBarrier();

  var sums: Sums;
  for (var pair = 0u; pair < MOST_PAIRS; pair++) {
    if (pair >= params.pairs) { break; }
    let second = pair * 16u + 8u;
    a0 = load_a(a0_at + a_steps(second, a_stride), a0_k + second);
    b0 = load_b(b_at + second * params.columns, b_k + second);
    if (A_LOADS > 1u) { a1 = load_a(a1_at + a_steps(second, a_stride), a1_k + second); }
    if (B_NEXT < 8u) { b1 = load_b(b_at + (second + B_NEXT) * params.columns, b_k + second + B_NEXT); }
    if (TRANSPOSED) {
      multiply_columns(&sums, a_tile[down], a_tile[down + A_VECTORS / 2u], b_tile[across], b_tile[across + ACROSS]);
      multiply_columns(&sums, a_tile[down + 1u * A_VECTORS], a_tile[down + 1u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 1u * B_VECTORS], b_tile[across + 1u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 2u * A_VECTORS], a_tile[down + 2u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 2u * B_VECTORS], b_tile[across + 2u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 3u * A_VECTORS], a_tile[down + 3u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 3u * B_VECTORS], b_tile[across + 3u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 4u * A_VECTORS], a_tile[down + 4u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 4u * B_VECTORS], b_tile[across + 4u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 5u * A_VECTORS], a_tile[down + 5u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 5u * B_VECTORS], b_tile[across + 5u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 6u * A_VECTORS], a_tile[down + 6u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 6u * B_VECTORS], b_tile[across + 6u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[down + 7u * A_VECTORS], a_tile[down + 7u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 7u * B_VECTORS], b_tile[across + 7u * B_VECTORS + ACROSS]);
    } else {
      multiply_rows(
        &sums,
        Eight(
          a_tile[row], a_tile[row + 1u * A_VECTORS], a_tile[row + 2u * A_VECTORS], a_tile[row + 3u * A_VECTORS],
          a_tile[row + 4u * A_VECTORS], a_tile[row + 5u * A_VECTORS], a_tile[row + 6u * A_VECTORS], a_tile[row + 7u * A_VECTORS],
        ),
        Eight(
          b_tile[across], b_tile[across + ACROSS],
          b_tile[across + 1u * B_VECTORS], b_tile[across + 1u * B_VECTORS + ACROSS],
          b_tile[across + 2u * B_VECTORS], b_tile[across + 2u * B_VECTORS + ACROSS],
          b_tile[across + 3u * B_VECTORS], b_tile[across + 3u * B_VECTORS + ACROSS],
        ),
      );
      multiply_rows(
        &sums,
        Eight(
          a_tile[row + 1u], a_tile[row + 1u * A_VECTORS + 1u], a_tile[row + 2u * A_VECTORS + 1u], a_tile[row + 3u * A_VECTORS + 1u],
          a_tile[row + 4u * A_VECTORS + 1u], a_tile[row + 5u * A_VECTORS + 1u], a_tile[row + 6u * A_VECTORS + 1u], a_tile[row + 7u * A_VECTORS + 1u],
        ),
        Eight(
          b_tile[across + 4u * B_VECTORS], b_tile[across + 4u * B_VECTORS + ACROSS],
          b_tile[across + 5u * B_VECTORS], b_tile[across + 5u * B_VECTORS + ACROSS],
          b_tile[across + 6u * B_VECTORS], b_tile[across + 6u * B_VECTORS + ACROSS],
          b_tile[across + 7u * B_VECTORS], b_tile[across + 7u * B_VECTORS + ACROSS],
        ),
      );
    }
    a_tile[A_STRIP + local] = shown(a0);
    b_tile[B_STRIP + local] = shown(b0);
    if (A_LOADS > 1u) { a_tile[A_STRIP + (local + THREADS) % A_STRIP] = shown(a1); }
    if (B_NEXT < 8u) { b_tile[B_STRIP + (local + THREADS) % B_STRIP] = shown(b1); }
    workgroupBarrier();

    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    let first = min(pair * 16u + 16u, params.pairs * 16u - 8u);
    a0 = load_a(a0_at + a_steps(first, a_stride), a0_k + first);
    b0 = load_b(b_at + first * params.columns, b_k + first);
    if (A_LOADS > 1u) { a1 = load_a(a1_at + a_steps(first, a_stride), a1_k + first); }
    if (B_NEXT < 8u) { b1 = load_b(b_at + (first + B_NEXT) * params.columns, b_k + first + B_NEXT); }
    if (TRANSPOSED) {
      multiply_columns(&sums, a_tile[A_STRIP + down], a_tile[A_STRIP + down + A_VECTORS / 2u], b_tile[B_STRIP + across], b_tile[B_STRIP + across + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 1u * A_VECTORS], a_tile[A_STRIP + down + 1u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 1u * B_VECTORS], b_tile[B_STRIP + across + 1u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 2u * A_VECTORS], a_tile[A_STRIP + down + 2u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 2u * B_VECTORS], b_tile[B_STRIP + across + 2u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 3u * A_VECTORS], a_tile[A_STRIP + down + 3u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 3u * B_VECTORS], b_tile[B_STRIP + across + 3u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 4u * A_VECTORS], a_tile[A_STRIP + down + 4u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 4u * B_VECTORS], b_tile[B_STRIP + across + 4u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 5u * A_VECTORS], a_tile[A_STRIP + down + 5u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 5u * B_VECTORS], b_tile[B_STRIP + across + 5u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 6u * A_VECTORS], a_tile[A_STRIP + down + 6u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 6u * B_VECTORS], b_tile[B_STRIP + across + 6u * B_VECTORS + ACROSS]);
      multiply_columns(&sums, a_tile[A_STRIP + down + 7u * A_VECTORS], a_tile[A_STRIP + down + 7u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 7u * B_VECTORS], b_tile[B_STRIP + across + 7u * B_VECTORS + ACROSS]);
    } else {
      multiply_rows(
        &sums,
        Eight(
          a_tile[A_STRIP + row], a_tile[A_STRIP + row + 1u * A_VECTORS], a_tile[A_STRIP + row + 2u * A_VECTORS], a_tile[A_STRIP + row + 3u * A_VECTORS],
          a_tile[A_STRIP + row + 4u * A_VECTORS], a_tile[A_STRIP + row + 5u * A_VECTORS], a_tile[A_STRIP + row + 6u * A_VECTORS], a_tile[A_STRIP + row + 7u * A_VECTORS],
        ),
        Eight(
          b_tile[B_STRIP + across], b_tile[B_STRIP + across + ACROSS],
          b_tile[B_STRIP + across + 1u * B_VECTORS], b_tile[B_STRIP + across + 1u * B_VECTORS + ACROSS],
          b_tile[B_STRIP + across + 2u * B_VECTORS], b_tile[B_STRIP + across + 2u * B_VECTORS + ACROSS],
          b_tile[B_STRIP + across + 3u * B_VECTORS], b_tile[B_STRIP + across + 3u * B_VECTORS + ACROSS],
        ),
      );
      multiply_rows(
        &sums,
        Eight(
          a_tile[A_STRIP + row + 1u], a_tile[A_STRIP + row + 1u * A_VECTORS + 1u], a_tile[A_STRIP + row + 2u * A_VECTORS + 1u], a_tile[A_STRIP + row + 3u * A_VECTORS + 1u],
          a_tile[A_STRIP + row + 4u * A_VECTORS + 1u], a_tile[A_STRIP + row + 5u * A_VECTORS + 1u], a_tile[A_STRIP + row + 6u * A_VECTORS + 1u], a_tile[A_STRIP + row + 7u * A_VECTORS + 1u],
        ),
        Eight(
          b_tile[B_STRIP + across + 4u * B_VECTORS], b_tile[B_STRIP + across + 4u * B_VECTORS + ACROSS],
          b_tile[B_STRIP + across + 5u * B_VECTORS], b_tile[B_STRIP + across + 5u * B_VECTORS + ACROSS],
          b_tile[B_STRIP + across + 6u * B_VECTORS], b_tile[B_STRIP + across + 6u * B_VECTORS + ACROSS],
          b_tile[B_STRIP + across + 7u * B_VECTORS], b_tile[B_STRIP + across + 7u * B_VECTORS + ACROSS],
        ),
      );
    }
    a_tile[local] = shown(a0);
    b_tile[local] = shown(b0);
    if (A_LOADS > 1u) { a_tile[(local + THREADS) % A_STRIP] = shown(a1); }
    if (B_NEXT < 8u) { b_tile[(local + THREADS) % B_STRIP] = shown(b1); }
    workgroupBarrier();
  }

  let at = matrix * params.rows * params.columns;
  let column = first_column + across;
  store(at, select(first_row + down + 0u * DOWN, first_row + down * 4u + 0u, TRANSPOSED), column, sums[0], sums[1]);
  store(at, select(first_row + down + 1u * DOWN, first_row + down * 4u + 1u, TRANSPOSED), column, sums[2], sums[3]);
  store(at, select(first_row + down + 2u * DOWN, first_row + down * 4u + 2u, TRANSPOSED), column, sums[4], sums[5]);
  store(at, select(first_row + down + 3u * DOWN, first_row + down * 4u + 3u, TRANSPOSED), column, sums[6], sums[7]);
  store(at, select(first_row + down + 4u * DOWN, first_row + down * 4u + 0u + TILE_ROWS / 2u, TRANSPOSED), column, sums[8], sums[9]);
  store(at, select(first_row + down + 5u * DOWN, first_row + down * 4u + 1u + TILE_ROWS / 2u, TRANSPOSED), column, sums[10], sums[11]);
  store(at, select(first_row + down + 6u * DOWN, first_row + down * 4u + 2u + TILE_ROWS / 2u, TRANSPOSED), column, sums[12], sums[13]);
  store(at, select(first_row + down + 7u * DOWN, first_row + down * 4u + 3u + TILE_ROWS / 2u, TRANSPOSED), column, sums[14], sums[15]);
}
