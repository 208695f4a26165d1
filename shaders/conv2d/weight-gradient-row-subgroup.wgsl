// conv2d's weight gradient by implicit GEMM, for software GPUs: 3 x 3 taps with stride 1 or 2.
//
//   dweight[r, s, c, k] = sum over n, p, q of x[n, p stride + r - padding, q stride + s - padding, c] dy[n, p, q, k]
//
// The counterpart of gather-row-subgroup.wgsl. A lane computes the 3 taps of a row r x 4 channels x 16 or 32 columns: of 4 pixels of dy
// at a time it needs 6 pixels of x, which serve all three taps; two of them it has from the step before. All lanes need the same dy:
// each loads a part of it and hands it to the others by shuffles. So for 16 columns 24 floats are loaded a lane for 12 x 16 x 4
// multiply-adds, half of what weight-gradient-subgroup.wgsl loads, for 32 a third. The splits' sums are added by a second dispatch.
enable subgroups;

const LANES: u32 = 8u;
const COLUMNS: u32 = 4u; // vec4s of columns that a lane computes: 4 or 8
const STRIDE: u32 = 1u;  // 1 or 2
const PIXELS = 3u * STRIDE + 3u; // of x that 4 neighbouring pixels of dy meet
const KEPT = PIXELS - 4u * STRIDE; // of them the next 4 meet again
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

// May load texels instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Stored { return x[i]; }
fn load_dy(i: u32) -> Stored { return dy[i]; }

// The sums of 3 taps x 4 channels for one vec4 of columns: constant indices only, so that they become registers.
alias Sums = array<vec4f, 12>;
alias Pixels = array<vec4f, PIXELS>;

// dy at 4 pixels and COLUMNS vec4s of columns, spread over the lanes; the last ones may be unused.
alias Spread = array<vec4f, 8>;

// One vec4 of columns at each of the 4 pixels, the same in all lanes.
struct Column { x: vec4f, y: vec4f, z: vec4f, w: vec4f }

// A function for each column, since lanes are constants: then a shuffle is a broadcast, and a few per cent faster here than subgroupBroadcast.
fn column0(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 0u) / LANES], (0u * COLUMNS + 0u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 0u) / LANES], (1u * COLUMNS + 0u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 0u) / LANES], (2u * COLUMNS + 0u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 0u) / LANES], (3u * COLUMNS + 0u) % LANES)); }
fn column1(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 1u) / LANES], (0u * COLUMNS + 1u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 1u) / LANES], (1u * COLUMNS + 1u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 1u) / LANES], (2u * COLUMNS + 1u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 1u) / LANES], (3u * COLUMNS + 1u) % LANES)); }
fn column2(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 2u) / LANES], (0u * COLUMNS + 2u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 2u) / LANES], (1u * COLUMNS + 2u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 2u) / LANES], (2u * COLUMNS + 2u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 2u) / LANES], (3u * COLUMNS + 2u) % LANES)); }
fn column3(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 3u) / LANES], (0u * COLUMNS + 3u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 3u) / LANES], (1u * COLUMNS + 3u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 3u) / LANES], (2u * COLUMNS + 3u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 3u) / LANES], (3u * COLUMNS + 3u) % LANES)); }
fn column4(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 4u) / LANES], (0u * COLUMNS + 4u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 4u) / LANES], (1u * COLUMNS + 4u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 4u) / LANES], (2u * COLUMNS + 4u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 4u) / LANES], (3u * COLUMNS + 4u) % LANES)); }
fn column5(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 5u) / LANES], (0u * COLUMNS + 5u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 5u) / LANES], (1u * COLUMNS + 5u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 5u) / LANES], (2u * COLUMNS + 5u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 5u) / LANES], (3u * COLUMNS + 5u) % LANES)); }
fn column6(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 6u) / LANES], (0u * COLUMNS + 6u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 6u) / LANES], (1u * COLUMNS + 6u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 6u) / LANES], (2u * COLUMNS + 6u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 6u) / LANES], (3u * COLUMNS + 6u) % LANES)); }
fn column7(s: Spread) -> Column { return Column(subgroupShuffle(s[(0u * COLUMNS + 7u) / LANES], (0u * COLUMNS + 7u) % LANES), subgroupShuffle(s[(1u * COLUMNS + 7u) / LANES], (1u * COLUMNS + 7u) % LANES), subgroupShuffle(s[(2u * COLUMNS + 7u) / LANES], (2u * COLUMNS + 7u) % LANES), subgroupShuffle(s[(3u * COLUMNS + 7u) / LANES], (3u * COLUMNS + 7u) % LANES)); }

fn accumulate(sums: ptr<function, Sums>, d: Column, x: ptr<function, Pixels>) {
  (*sums)[0] += (*x)[0].x * d.x + (*x)[0u + 1u * STRIDE].x * d.y + (*x)[0u + 2u * STRIDE].x * d.z + (*x)[0u + 3u * STRIDE].x * d.w;
  (*sums)[1] += (*x)[0].y * d.x + (*x)[0u + 1u * STRIDE].y * d.y + (*x)[0u + 2u * STRIDE].y * d.z + (*x)[0u + 3u * STRIDE].y * d.w;
  (*sums)[2] += (*x)[0].z * d.x + (*x)[0u + 1u * STRIDE].z * d.y + (*x)[0u + 2u * STRIDE].z * d.z + (*x)[0u + 3u * STRIDE].z * d.w;
  (*sums)[3] += (*x)[0].w * d.x + (*x)[0u + 1u * STRIDE].w * d.y + (*x)[0u + 2u * STRIDE].w * d.z + (*x)[0u + 3u * STRIDE].w * d.w;
  (*sums)[4] += (*x)[1].x * d.x + (*x)[1u + 1u * STRIDE].x * d.y + (*x)[1u + 2u * STRIDE].x * d.z + (*x)[1u + 3u * STRIDE].x * d.w;
  (*sums)[5] += (*x)[1].y * d.x + (*x)[1u + 1u * STRIDE].y * d.y + (*x)[1u + 2u * STRIDE].y * d.z + (*x)[1u + 3u * STRIDE].y * d.w;
  (*sums)[6] += (*x)[1].z * d.x + (*x)[1u + 1u * STRIDE].z * d.y + (*x)[1u + 2u * STRIDE].z * d.z + (*x)[1u + 3u * STRIDE].z * d.w;
  (*sums)[7] += (*x)[1].w * d.x + (*x)[1u + 1u * STRIDE].w * d.y + (*x)[1u + 2u * STRIDE].w * d.z + (*x)[1u + 3u * STRIDE].w * d.w;
  (*sums)[8] += (*x)[2].x * d.x + (*x)[2u + 1u * STRIDE].x * d.y + (*x)[2u + 2u * STRIDE].x * d.z + (*x)[2u + 3u * STRIDE].x * d.w;
  (*sums)[9] += (*x)[2].y * d.x + (*x)[2u + 1u * STRIDE].y * d.y + (*x)[2u + 2u * STRIDE].y * d.z + (*x)[2u + 3u * STRIDE].y * d.w;
  (*sums)[10] += (*x)[2].z * d.x + (*x)[2u + 1u * STRIDE].z * d.y + (*x)[2u + 2u * STRIDE].z * d.z + (*x)[2u + 3u * STRIDE].z * d.w;
  (*sums)[11] += (*x)[2].w * d.x + (*x)[2u + 1u * STRIDE].w * d.y + (*x)[2u + 2u * STRIDE].w * d.z + (*x)[2u + 3u * STRIDE].w * d.w;
}

// Four channels of x in the image row that starts at `row`; zero outside.
fn load_pixel(row: u32, column: i32, inside_row: bool, channel: u32) -> vec4f {
  let inside = inside_row && u32(column) < params.x_size.z;
  let at = (row + u32(column)) * (params.x_size.w / 4u) + channel;
  return select(vec4f(), unpack(load_x(select(0u, at, inside))), inside);
}

// A part of dy at the four pixels from q on: zero past the end of the row.
fn load_row(row: u32, q: u32, index: u32, first_column: u32) -> vec4f {
  let columns = params.dy_size.w / 4u;
  let pixel = q + index / COLUMNS;
  let at = (row + min(pixel, params.dy_size.z - 1u)) * columns + min(first_column + index % COLUMNS, columns - 1u);
  return select(vec4f(), unpack(load_dy(at)), pixel < params.dy_size.z);
}

fn store(sums: ptr<function, Sums>, first_row: u32, column: u32) {
  let columns = params.dy_size.w / 4u;
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
  let columns = params.dy_size.w / 4u;
  let column_tiles = (columns + COLUMNS - 1u) / COLUMNS;
  let row_tiles = (3u * quads + LANES - 1u) / LANES;
  let group = workgroup.x + workgroup.y * workgroups.x;
  let split = group / (column_tiles * row_tiles);
  if (split >= params.splits) { return; }
  let column = group % column_tiles * COLUMNS;
  // This lane's row of taps and channels. Past the last it repeats it, and nothing is stored.
  let index = group / column_tiles % row_tiles * LANES + lane;
  let own = min(index, 3u * quads - 1u);
  let r = own / quads;
  let channel = own % quads;

  var s0: Sums; var s1: Sums; var s2: Sums; var s3: Sums; var s4: Sums; var s5: Sums; var s6: Sums; var s7: Sums;
  let first = split * params.rows_per_split;
  let end = min(first + params.rows_per_split, params.dy_size.x * params.dy_size.y);
  // Counted, not divided: an integer division costs as much as a dozen loads here.
  var n = first / params.dy_size.y;
  var p = first % params.dy_size.y;
  var row = first;
  var q = 0u;
  var pixels: Pixels;
  // One loop, not one in another: every loop carries all accumulators through a mask.
  while (row < end) {
    let i = i32(p * STRIDE + r) - params.padding.x;
    let inside = u32(i) < params.x_size.y;
    let x_row = (n * params.x_size.y + u32(i)) * params.x_size.z;
    let dy_row = row * params.dy_size.z;
    let left = i32(q * STRIDE) - params.padding.y;
    // The last pixels of a step are the first of the next.
    if (q == 0u) {
      for (var k = 0u; k < KEPT; k++) { pixels[k] = load_pixel(x_row, left + i32(k), inside, channel); }
    }
    for (var k = KEPT; k < PIXELS; k++) { pixels[k] = load_pixel(x_row, left + i32(k), inside, channel); }
    var d: Spread;
    for (var j = 0u; j < 4u * COLUMNS / LANES; j++) { d[j] = load_row(dy_row, q, j * LANES + lane, column); }
    accumulate(&s0, column0(d), &pixels);
    accumulate(&s1, column1(d), &pixels);
    accumulate(&s2, column2(d), &pixels);
    accumulate(&s3, column3(d), &pixels);
    if (COLUMNS > 4u) {
      accumulate(&s4, column4(d), &pixels);
      accumulate(&s5, column5(d), &pixels);
      accumulate(&s6, column6(d), &pixels);
      accumulate(&s7, column7(d), &pixels);
    }
    for (var k = 0u; k < KEPT; k++) { pixels[k] = pixels[4u * STRIDE + k]; }
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
  // A loop that stays one: see gather-row-subgroup.wgsl.
  for (var k = column; k < min(columns, column + COLUMNS); k++) {
    store(&s0, first_row, k);
    s0 = s1; s1 = s2; s2 = s3;
    if (COLUMNS > 4u) { s3 = s4; s4 = s5; s5 = s6; s6 = s7; }
  }
}
