// y[m,n] = sum over k of a[k,m] b[k,n], for real GPUs. A workgroup computes TILE_ROWS x TILE_COLUMNS values. It copies its strips of
// a and b, 8 steps of k at a time, into workgroup memory, where every value is then read by 8 or 16 invocations instead of from far
// memory. Each invocation keeps 8 x 8 values in registers: four blocks of 4 x 4, half a tile apart, so that neighbours read
// neighbouring vec4s. 32 invocations that run together are 4 x 8: what they read at a time, 64 bytes of a and 128 of b, lies in
// different banks of workgroup memory. Of them, 2 i and 2 i + 1 read the same vec4 of b, and i and i xor 2 the same of a: NVIDIA's
// hardware then serves 16 at a time, and otherwise 8. Both operands have k outermost: strips are copied as they are.
//
// Two buffers take turns. While one is multiplied, the loads of the next strip are under way to registers, and then go to the other
// buffer: one barrier a strip. The turns are spelt out, because an index that says whose turn it is would be checked at each access.
//
// The shapes are constants: the compiler then proves every index and loop bound and adds no checks of its own.

const TILE_ROWS: u32 = 64u;    // 64 or 128
const TILE_COLUMNS: u32 = 64u; // 64 or 128
const ROWS: u32 = 64u;         // M
const COLUMNS: u32 = 64u;      // N
const DEPTH: u32 = 16u;        // K
const A_BATCH: u32 = 0u;       // vec4s from one matrix of the batch to the next; 0 where all use the same
const B_BATCH: u32 = 0u;
const BATCHES: u32 = 1u;

// How y is stored. Where COLUMNS is a multiple of 4, vec4s: VECTORS = true, Stored = vec4f, whole(v) = v, part(v) = vec4f(v).
const VECTORS: bool = false;
alias Stored = f32;
fn whole(v: vec4f) -> Stored { return v.x; }
fn part(v: f32) -> Stored { return v; }

const THREADS = TILE_ROWS * TILE_COLUMNS / 64u;
const A_STRIDE = (ROWS + 3u) / 4u; // vec4s in a row of a
const B_STRIDE = (COLUMNS + 3u) / 4u;
const ROW_TILES = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const COLUMN_TILES = (COLUMNS + TILE_COLUMNS - 1u) / TILE_COLUMNS;
const PAIRS = (DEPTH + 15u) / 16u; // of strips
const WHOLE_PAIRS = DEPTH % 16u == 0u;

// vec4s of a strip's step, and of a strip.
const A_VECTORS = TILE_ROWS / 4u;
const B_VECTORS = TILE_COLUMNS / 4u;
const A_STRIP = 8u * A_VECTORS;
const B_STRIP = 8u * B_VECTORS;
// Where the invocations' second vec4s of a strip begin, in steps of k. The first go all the way in the widest tiles.
const A_NEXT = THREADS / A_VECTORS;
const B_NEXT = THREADS / B_VECTORS;
// Invocations beside each other.
const ACROSS = TILE_COLUMNS / 8u;

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [batch, K, M padded to 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [batch, K, N padded to 4]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>; // [batch, M, N]

// [2][8 steps of k][TILE_ROWS or TILE_COLUMNS values]: 16 KB together for 128 x 128.
var<workgroup> a_tile: array<vec4f, 2u * A_STRIP>;
var<workgroup> b_tile: array<vec4f, 2u * B_STRIP>;

// The sums of an invocation, [row][half]: constant indices only, so that they become registers.
alias Sums = array<vec4f, 16>;

// sums += the outer product of eight rows of a and eight columns of b.
fn multiply(sums: ptr<function, Sums>, a0: vec4f, a1: vec4f, b0: vec4f, b1: vec4f) {
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

// Steps past the last count as zeros, from when they are put down, after the multiplication: a load in a branch, or a choice right
// behind it, is waited for on the spot. Rows and columns past the last are loaded from somewhere, and not stored.
struct Loaded { value: vec4f, inside: bool }

fn exists(k: u32) -> bool { return WHOLE_PAIRS || k < DEPTH; }
fn load_a(at: u32, k: u32) -> Loaded { return Loaded(a[select(0u, at, exists(k))], exists(k)); }
fn load_b(at: u32, k: u32) -> Loaded { return Loaded(b[select(0u, at, exists(k))], exists(k)); }
fn shown(v: Loaded) -> vec4f { return select(vec4f(), v.value, v.inside); }

fn store_row(values: vec4f, batch: u32, row: u32, column: u32) {
  if (row >= ROWS || column >= COLUMNS) { return; }
  let at = (batch * ROWS + row) * COLUMNS + column;
  if (VECTORS) {
    y[at / 4u] = whole(values);
  } else {
    y[at] = part(values.x);
    if (column + 1u < COLUMNS) { y[at + 1u] = part(values.y); }
    if (column + 2u < COLUMNS) { y[at + 2u] = part(values.z); }
    if (column + 3u < COLUMNS) { y[at + 3u] = part(values.w); }
  }
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let column_tile = tile % COLUMN_TILES;
  let row_tile = tile / COLUMN_TILES % ROW_TILES;
  let batch = tile / COLUMN_TILES / ROW_TILES;
  if (batch >= BATCHES) { return; }
  let across = local / 2u % 8u + local / 32u % (ACROSS / 8u) * 8u;
  let down = local % 2u + local / 16u % 2u * 2u + local / (4u * ACROSS) * 4u;

  // What this invocation copies: one or two vec4s of a strip of each operand.
  let a_k = local / A_VECTORS;
  let b_k = local / B_VECTORS;
  let a_at = batch * A_BATCH + a_k * A_STRIDE + min(row_tile * A_VECTORS + local % A_VECTORS, A_STRIDE - 1u);
  let b_at = batch * B_BATCH + b_k * B_STRIDE + min(column_tile * B_VECTORS + local % B_VECTORS, B_STRIDE - 1u);
  var a0 = load_a(a_at, a_k);
  var b0 = load_b(b_at, b_k);
  var a1: Loaded;
  var b1: Loaded;
  if (A_NEXT < 8u) { a1 = load_a(a_at + A_NEXT * A_STRIDE, a_k + A_NEXT); }
  if (B_NEXT < 8u) { b1 = load_b(b_at + B_NEXT * B_STRIDE, b_k + B_NEXT); }
  a_tile[local] = shown(a0);
  b_tile[local] = shown(b0);
  if (A_NEXT < 8u) { a_tile[(local + THREADS) % A_STRIP] = shown(a1); }
  if (B_NEXT < 8u) { b_tile[(local + THREADS) % B_STRIP] = shown(b1); }
  workgroupBarrier();

  var sums: Sums;
  for (var pair = 0u; pair < PAIRS; pair++) {
    let second = pair * 16u + 8u;
    a0 = load_a(a_at + second * A_STRIDE, a_k + second);
    b0 = load_b(b_at + second * B_STRIDE, b_k + second);
    if (A_NEXT < 8u) { a1 = load_a(a_at + (second + A_NEXT) * A_STRIDE, a_k + second + A_NEXT); }
    if (B_NEXT < 8u) { b1 = load_b(b_at + (second + B_NEXT) * B_STRIDE, b_k + second + B_NEXT); }
    multiply(&sums, a_tile[down], a_tile[down + A_VECTORS / 2u], b_tile[across], b_tile[across + ACROSS]);
    multiply(&sums, a_tile[down + 1u * A_VECTORS], a_tile[down + 1u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 1u * B_VECTORS], b_tile[across + 1u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 2u * A_VECTORS], a_tile[down + 2u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 2u * B_VECTORS], b_tile[across + 2u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 3u * A_VECTORS], a_tile[down + 3u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 3u * B_VECTORS], b_tile[across + 3u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 4u * A_VECTORS], a_tile[down + 4u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 4u * B_VECTORS], b_tile[across + 4u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 5u * A_VECTORS], a_tile[down + 5u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 5u * B_VECTORS], b_tile[across + 5u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 6u * A_VECTORS], a_tile[down + 6u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 6u * B_VECTORS], b_tile[across + 6u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[down + 7u * A_VECTORS], a_tile[down + 7u * A_VECTORS + A_VECTORS / 2u], b_tile[across + 7u * B_VECTORS], b_tile[across + 7u * B_VECTORS + ACROSS]);
    a_tile[A_STRIP + local] = shown(a0);
    b_tile[B_STRIP + local] = shown(b0);
    if (A_NEXT < 8u) { a_tile[A_STRIP + (local + THREADS) % A_STRIP] = shown(a1); }
    if (B_NEXT < 8u) { b_tile[B_STRIP + (local + THREADS) % B_STRIP] = shown(b1); }
    workgroupBarrier();

    // After the last strip the last one is loaded again and not used: with an `if`, compilers wait for the loads at its end.
    let first = min(pair * 16u + 16u, PAIRS * 16u - 8u);
    a0 = load_a(a_at + first * A_STRIDE, a_k + first);
    b0 = load_b(b_at + first * B_STRIDE, b_k + first);
    if (A_NEXT < 8u) { a1 = load_a(a_at + (first + A_NEXT) * A_STRIDE, a_k + first + A_NEXT); }
    if (B_NEXT < 8u) { b1 = load_b(b_at + (first + B_NEXT) * B_STRIDE, b_k + first + B_NEXT); }
    multiply(&sums, a_tile[A_STRIP + down], a_tile[A_STRIP + down + A_VECTORS / 2u], b_tile[B_STRIP + across], b_tile[B_STRIP + across + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 1u * A_VECTORS], a_tile[A_STRIP + down + 1u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 1u * B_VECTORS], b_tile[B_STRIP + across + 1u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 2u * A_VECTORS], a_tile[A_STRIP + down + 2u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 2u * B_VECTORS], b_tile[B_STRIP + across + 2u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 3u * A_VECTORS], a_tile[A_STRIP + down + 3u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 3u * B_VECTORS], b_tile[B_STRIP + across + 3u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 4u * A_VECTORS], a_tile[A_STRIP + down + 4u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 4u * B_VECTORS], b_tile[B_STRIP + across + 4u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 5u * A_VECTORS], a_tile[A_STRIP + down + 5u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 5u * B_VECTORS], b_tile[B_STRIP + across + 5u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 6u * A_VECTORS], a_tile[A_STRIP + down + 6u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 6u * B_VECTORS], b_tile[B_STRIP + across + 6u * B_VECTORS + ACROSS]);
    multiply(&sums, a_tile[A_STRIP + down + 7u * A_VECTORS], a_tile[A_STRIP + down + 7u * A_VECTORS + A_VECTORS / 2u], b_tile[B_STRIP + across + 7u * B_VECTORS], b_tile[B_STRIP + across + 7u * B_VECTORS + ACROSS]);
    a_tile[local] = shown(a0);
    b_tile[local] = shown(b0);
    if (A_NEXT < 8u) { a_tile[(local + THREADS) % A_STRIP] = shown(a1); }
    if (B_NEXT < 8u) { b_tile[(local + THREADS) % B_STRIP] = shown(b1); }
    workgroupBarrier();
  }

  let row = row_tile * TILE_ROWS + down * 4u;
  let column = column_tile * TILE_COLUMNS + across * 4u;
  store_row(sums[0], batch, row, column);
  store_row(sums[1], batch, row, column + TILE_COLUMNS / 2u);
  store_row(sums[2], batch, row + 1u, column);
  store_row(sums[3], batch, row + 1u, column + TILE_COLUMNS / 2u);
  store_row(sums[4], batch, row + 2u, column);
  store_row(sums[5], batch, row + 2u, column + TILE_COLUMNS / 2u);
  store_row(sums[6], batch, row + 3u, column);
  store_row(sums[7], batch, row + 3u, column + TILE_COLUMNS / 2u);
  let below = row + TILE_ROWS / 2u;
  store_row(sums[8], batch, below, column);
  store_row(sums[9], batch, below, column + TILE_COLUMNS / 2u);
  store_row(sums[10], batch, below + 1u, column);
  store_row(sums[11], batch, below + 1u, column + TILE_COLUMNS / 2u);
  store_row(sums[12], batch, below + 2u, column);
  store_row(sums[13], batch, below + 2u, column + TILE_COLUMNS / 2u);
  store_row(sums[14], batch, below + 3u, column);
  store_row(sums[15], batch, below + 3u, column + TILE_COLUMNS / 2u);
}
