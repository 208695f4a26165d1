// conv2d's weight gradient by implicit GEMM, for software GPUs: 3 x 3 taps with stride 1.
//
//   dweight[r, s, c, k] = sum over n, p, q of x[n, p + r - padding, q + s - padding, c] dy[n, p, q, k]
//
// The counterpart of gather-row-subgroup.wgsl. A lane computes the 3 taps of a row r x 4 channels x 16 columns: of 4 pixels of dy at a time
// it needs 6 pixels of x, which serve all three taps; two of them it has from the step before. All lanes need the same dy: each loads
// two of its 16 vec4s (at 8 lanes) and hands them to the others by broadcasts. So 24 floats are loaded a lane for 12 x 16 x 4
// multiply-adds, half of what weight-gradient-subgroup.wgsl loads with 32 columns. The splits' sums are added by a second dispatch.
enable subgroups;

const LANES: u32 = 8u;
alias Stored = vec4f; // vec2u where x and dy are f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C; C is a multiple of 4
  dy_size: vec4u, // N, P, Q, K; K is a multiple of 4
  padding: vec2i,
  splits: u32,
  rows_per_split: u32, // output rows (n, p) that one split sums over
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, 3, 3, C, K]
@group(0) @binding(3) var<uniform> params: Params;

// The sums of 3 taps x 4 channels for one vec4 of columns: constant indices only, so that they become registers.
alias Sums = array<vec4f, 12>;

// dy at 4 pixels and 16 columns: 16 vec4s, spread over the lanes. At 8 lanes the last two are unused.
struct Spread { a: vec4f, b: vec4f, c: vec4f, d: vec4f }

// One vec4 of columns at each of the 4 pixels, the same in all lanes.
struct Column { x: vec4f, y: vec4f, z: vec4f, w: vec4f }

// A function for each column, since lanes are constants: then a shuffle is a broadcast, and a few per cent faster here than subgroupBroadcast.
fn column0(s: Spread) -> Column {
  if (LANES == 4u) { return Column(subgroupShuffle(s.a, 0u), subgroupShuffle(s.b, 0u), subgroupShuffle(s.c, 0u), subgroupShuffle(s.d, 0u)); }
  return Column(subgroupShuffle(s.a, 0u), subgroupShuffle(s.a, 4u), subgroupShuffle(s.b, 0u), subgroupShuffle(s.b, 4u));
}

fn column1(s: Spread) -> Column {
  if (LANES == 4u) { return Column(subgroupShuffle(s.a, 1u), subgroupShuffle(s.b, 1u), subgroupShuffle(s.c, 1u), subgroupShuffle(s.d, 1u)); }
  return Column(subgroupShuffle(s.a, 1u), subgroupShuffle(s.a, 5u), subgroupShuffle(s.b, 1u), subgroupShuffle(s.b, 5u));
}

fn column2(s: Spread) -> Column {
  if (LANES == 4u) { return Column(subgroupShuffle(s.a, 2u), subgroupShuffle(s.b, 2u), subgroupShuffle(s.c, 2u), subgroupShuffle(s.d, 2u)); }
  return Column(subgroupShuffle(s.a, 2u), subgroupShuffle(s.a, 6u), subgroupShuffle(s.b, 2u), subgroupShuffle(s.b, 6u));
}

fn column3(s: Spread) -> Column {
  if (LANES == 4u) { return Column(subgroupShuffle(s.a, 3u), subgroupShuffle(s.b, 3u), subgroupShuffle(s.c, 3u), subgroupShuffle(s.d, 3u)); }
  return Column(subgroupShuffle(s.a, 3u), subgroupShuffle(s.a, 7u), subgroupShuffle(s.b, 3u), subgroupShuffle(s.b, 7u));
}

fn accumulate(sums: ptr<function, Sums>, d: Column, x0: vec4f, x1: vec4f, x2: vec4f, x3: vec4f, x4: vec4f, x5: vec4f) {
  (*sums)[0] += x0.x * d.x + x1.x * d.y + x2.x * d.z + x3.x * d.w;
  (*sums)[1] += x0.y * d.x + x1.y * d.y + x2.y * d.z + x3.y * d.w;
  (*sums)[2] += x0.z * d.x + x1.z * d.y + x2.z * d.z + x3.z * d.w;
  (*sums)[3] += x0.w * d.x + x1.w * d.y + x2.w * d.z + x3.w * d.w;
  (*sums)[4] += x1.x * d.x + x2.x * d.y + x3.x * d.z + x4.x * d.w;
  (*sums)[5] += x1.y * d.x + x2.y * d.y + x3.y * d.z + x4.y * d.w;
  (*sums)[6] += x1.z * d.x + x2.z * d.y + x3.z * d.z + x4.z * d.w;
  (*sums)[7] += x1.w * d.x + x2.w * d.y + x3.w * d.z + x4.w * d.w;
  (*sums)[8] += x2.x * d.x + x3.x * d.y + x4.x * d.z + x5.x * d.w;
  (*sums)[9] += x2.y * d.x + x3.y * d.y + x4.y * d.z + x5.y * d.w;
  (*sums)[10] += x2.z * d.x + x3.z * d.y + x4.z * d.z + x5.z * d.w;
  (*sums)[11] += x2.w * d.x + x3.w * d.y + x4.w * d.z + x5.w * d.w;
}

// Four channels of x in the image row that starts at `row`; zero outside.
fn load_x(row: u32, column: i32, inside_row: bool, channel: u32) -> vec4f {
  let inside = inside_row && u32(column) < params.x_size.z;
  let at = (row + u32(column)) * (params.x_size.w / 4u) + channel;
  return unpack(x[select(0u, at, inside)]) * select(0.0, 1.0, inside);
}

// This lane's part of dy at the four pixels from q on: zero past the end of the row.
fn load_dy(row: u32, q: u32, index: u32, first_column: u32) -> vec4f {
  let columns = params.dy_size.w / 4u;
  let pixel = q + index / 4u;
  let at = (row + min(pixel, params.dy_size.z - 1u)) * columns + min(first_column + index % 4u, columns - 1u);
  return unpack(dy[at]) * select(0.0, 1.0, pixel < params.dy_size.z);
}

fn store(sums: ptr<function, Sums>, first_row: u32, column: u32) {
  let columns = params.dy_size.w / 4u;
  if (column >= columns) { return; }
  for (var s = 0u; s < 3u; s++) {
    for (var c = 0u; c < 4u; c++) {
      dweight[(first_row + s * params.x_size.w + c) * columns + column] = (*sums)[4u * s + c];
    }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let quads = params.x_size.w / 4u;
  let column_tiles = (params.dy_size.w / 4u + 3u) / 4u;
  let row_tiles = (3u * quads + LANES - 1u) / LANES;
  let group = workgroup.x + workgroup.y * workgroups.x;
  let split = group / (column_tiles * row_tiles);
  if (split >= params.splits) { return; }
  let column = group % column_tiles * 4u;
  // This lane's row of taps and channels. Past the last it repeats it, and nothing is stored.
  let index = group / column_tiles % row_tiles * LANES + lane;
  let own = min(index, 3u * quads - 1u);
  let r = own / quads;
  let channel = own % quads;

  var s0: Sums; var s1: Sums; var s2: Sums; var s3: Sums;
  let first = split * params.rows_per_split;
  let end = min(first + params.rows_per_split, params.dy_size.x * params.dy_size.y);
  // Counted, not divided: an integer division costs as much as a dozen loads here.
  var n = first / params.dy_size.y;
  var p = first % params.dy_size.y;
  var row = first;
  var q = 0u;
  var x0: vec4f;
  var x1: vec4f;
  // One loop, not one in another: every loop carries all accumulators through a mask.
  while (row < end) {
    let i = i32(p + r) - params.padding.x;
    let inside = u32(i) < params.x_size.y;
    let x_row = (n * params.x_size.y + u32(i)) * params.x_size.z;
    let dy_row = row * params.dy_size.z;
    let left = i32(q) - params.padding.y;
    // The last two pixels of a step are the first two of the next.
    if (q == 0u) {
      x0 = load_x(x_row, left, inside, channel);
      x1 = load_x(x_row, left + 1, inside, channel);
    }
    let x2 = load_x(x_row, left + 2, inside, channel);
    let x3 = load_x(x_row, left + 3, inside, channel);
    let x4 = load_x(x_row, left + 4, inside, channel);
    let x5 = load_x(x_row, left + 5, inside, channel);
    var d = Spread(load_dy(dy_row, q, lane, column), load_dy(dy_row, q, LANES + lane, column), vec4f(), vec4f());
    if (LANES == 4u) {
      d.c = load_dy(dy_row, q, 2u * LANES + lane, column);
      d.d = load_dy(dy_row, q, 3u * LANES + lane, column);
    }
    accumulate(&s0, column0(d), x0, x1, x2, x3, x4, x5);
    accumulate(&s1, column1(d), x0, x1, x2, x3, x4, x5);
    accumulate(&s2, column2(d), x0, x1, x2, x3, x4, x5);
    accumulate(&s3, column3(d), x0, x1, x2, x3, x4, x5);
    x0 = x4;
    x1 = x5;
    q += 4u;
    if (q >= params.dy_size.z) {
      q = 0u;
      row++;
      p++;
      if (p == params.dy_size.y) { p = 0u; n++; }
    }
  }
  if (index >= 3u * quads) { return; }
  let first_row = (9u * split + 3u * r) * params.x_size.w + 4u * channel;
  store(&s0, first_row, column);
  store(&s1, first_row, column + 1u);
  store(&s2, first_row, column + 2u);
  store(&s3, first_row, column + 3u);
}
