// y[m,n] = sum over k of a[k,m] b[k,n], for real GPUs. A workgroup of 64 invocations computes 64 x 64 values: for 16 steps of k at
// a time it copies its strips of a and b into workgroup memory, where every value is then read by 8 invocations instead of from
// far memory; each invocation keeps 8 x 8 values in registers, as four 4 x 4 blocks 32 apart, so that neighbours read neighbouring
// vec4s. Both operands have k outermost: strips are copied as they are.
// The shapes are constants: the compiler then proves every index and loop bound and adds no checks of its own.

const ROWS: u32 = 64u;       // M
const COLUMNS: u32 = 64u;    // N
const DEPTH: u32 = 16u;      // K
const A_BATCH: u32 = 0u;     // vec4s from one matrix of the batch to the next; 0 where all use the same
const B_BATCH: u32 = 0u;
const BATCHES: u32 = 1u;

const A_STRIDE = (ROWS + 3u) / 4u; // vec4s in a row of a
const B_STRIDE = (COLUMNS + 3u) / 4u;
const ROW_TILES = (ROWS + 63u) / 64u;
const COLUMN_TILES = (COLUMNS + 63u) / 64u;
const STRIPS = (DEPTH + 15u) / 16u;

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [batch, K, M padded to 4]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [batch, K, N padded to 4]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [batch, M, N]

// [16 steps of k][64 values]: 8 KB together.
var<workgroup> a_strip: array<vec4f, 256>;
var<workgroup> b_strip: array<vec4f, 256>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let column_tile = tile % COLUMN_TILES;
  let row_tile = tile / COLUMN_TILES % ROW_TILES;
  let batch = tile / COLUMN_TILES / ROW_TILES;
  if (batch >= BATCHES) {
    return;
  }
  let across = local % 8u;
  let down = local / 8u;

  var top_left: array<vec4f, 4>;
  var top_right: array<vec4f, 4>;
  var bottom_left: array<vec4f, 4>;
  var bottom_right: array<vec4f, 4>;
  for (var strip = 0u; strip < STRIPS; strip++) {
    for (var i = 0u; i < 4u; i++) {
      let at = i * 64u + local;
      let k = strip * 16u + at / 16u;
      let row = row_tile * 16u + at % 16u;
      let column = column_tile * 16u + at % 16u;
      var a_values = vec4f(0.0);
      var b_values = vec4f(0.0);
      if (k < DEPTH && row < A_STRIDE) { a_values = a[batch * A_BATCH + k * A_STRIDE + row]; }
      if (k < DEPTH && column < B_STRIDE) { b_values = b[batch * B_BATCH + k * B_STRIDE + column]; }
      a_strip[at] = a_values;
      b_strip[at] = b_values;
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let top = a_strip[k * 16u + down];
      let bottom = a_strip[k * 16u + 8u + down];
      let left = b_strip[k * 16u + across];
      let right = b_strip[k * 16u + 8u + across];
      accumulate(&top_left, top, left);
      accumulate(&top_right, top, right);
      accumulate(&bottom_left, bottom, left);
      accumulate(&bottom_right, bottom, right);
    }
    workgroupBarrier();
  }

  let row = row_tile * 64u + down * 4u;
  let column = column_tile * 64u + across * 4u;
  store(&top_left, batch, row, column);
  store(&top_right, batch, row, column + 32u);
  store(&bottom_left, batch, row + 32u, column);
  store(&bottom_right, batch, row + 32u, column + 32u);
}

// block += the outer product of four rows of a and four columns of b. Constant indices, so that the array lives in registers.
fn accumulate(block: ptr<function, array<vec4f, 4>>, a_values: vec4f, b_values: vec4f) {
  (*block)[0] = fma(vec4f(a_values.x), b_values, (*block)[0]);
  (*block)[1] = fma(vec4f(a_values.y), b_values, (*block)[1]);
  (*block)[2] = fma(vec4f(a_values.z), b_values, (*block)[2]);
  (*block)[3] = fma(vec4f(a_values.w), b_values, (*block)[3]);
}

fn store(block: ptr<function, array<vec4f, 4>>, batch: u32, row: u32, column: u32) {
  store_row((*block)[0], batch, row, column);
  store_row((*block)[1], batch, row + 1u, column);
  store_row((*block)[2], batch, row + 2u, column);
  store_row((*block)[3], batch, row + 3u, column);
}

fn store_row(values: vec4f, batch: u32, row: u32, column: u32) {
  if (row < ROWS) {
    let at = (batch * ROWS + row) * COLUMNS + column;
    if (column < COLUMNS) { y[at] = values.x; }
    if (column + 1u < COLUMNS) { y[at + 1u] = values.y; }
    if (column + 2u < COLUMNS) { y[at + 2u] = values.z; }
    if (column + 3u < COLUMNS) { y[at + 3u] = values.w; }
  }
}
