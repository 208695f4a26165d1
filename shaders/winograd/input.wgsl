// Winograd's transform of a convolution's input: V = B^T d B for every tile d of TILE + 2 pixels a side, four channels an
// invocation. Neighbouring tiles overlap by two pixels; what lies outside of the image is zero. V is stored as one matrix
// [tiles, C] for each of the (TILE + 2)^2 values of a tile, so that multiply.wgsl sees that many independent products.
//
// With `turned` every tile is read from its last pixel to its first. The input gradient is the convolution of dy with the weights turned
// around; dy's tiles turned around, their products with the weights as they are, and these turned back (output.wgsl), are the same.
//
// The convolution is a product of polynomials, computed by their values at points: 0, 1, -1 and infinity for TILE 2 (Lavin and
// Gray, arXiv:1509.09308), and 0, c, -c, 1/c, -1/c and infinity with c = 2/3 for TILE 4. Such pairs of points (Alam, Anderson,
// Barabasz and Gregg, arXiv:2201.10369) round a quarter as much as the customary 1, -1, 2, -2, for the same operations.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;
alias Stored = vec4f; // vec2u where x is f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  x_size: vec4u, // N, H, W, C; C is a multiple of 4
  tiles: vec2u,  // rows and columns of tiles in an image
  padding: vec2i,
  rows: u32,     // tiles of all images, rounded up to 4: the last ones may be nothing but zeros
  turned: u32,   // 1: rows and columns of a tile in reverse
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read_write> v: array<vec4f>; // [SPAN * SPAN, rows, C]
@group(0) @binding(2) var<uniform> params: Params;

// May load a texel instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Stored { return x[i]; }

// A column or row of a tile; TILE 2 leaves the last two unused, and the compiler removes them.
alias Line = array<vec4f, 6>;

// B^T times a line.
fn transform(d: Line) -> Line {
  if (TILE == 2u) {
    return Line(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3], vec4f(), vec4f());
  }
  // The points +-2/3, then +-3/2.
  let even = d[4] - 9.0 / 4.0 * d[2];
  let odd = 2.0 / 3.0 * d[3] - 3.0 / 2.0 * d[1];
  let outer_even = d[4] - 4.0 / 9.0 * d[2];
  let outer_odd = 3.0 / 2.0 * d[3] - 2.0 / 3.0 * d[1];
  return Line(
    d[0] - 97.0 / 36.0 * d[2] + d[4],
    even + odd,
    even - odd,
    outer_even + outer_odd,
    outer_even - outer_odd,
    d[1] - 97.0 / 36.0 * d[3] + d[5],
  );
}

// The tile's first pixel, the step from one to the next, and the four channels.
struct Place { image: u32, top: i32, left: i32, step: i32, channel: u32 }

fn load(source: Place, i: i32, j: i32) -> vec4f {
  let at = vec2u(vec2i(source.top + i * source.step, source.left + j * source.step));
  let inside = source.image < params.x_size.x && at.x < params.x_size.y && at.y < params.x_size.z;
  let pixel = (source.image * params.x_size.y + at.x) * params.x_size.z + at.y;
  return select(vec4f(), unpack(load_x(select(0u, pixel * (params.x_size.w / 4u) + source.channel, inside))), inside);
}

fn column(source: Place, j: i32) -> Line {
  return transform(Line(load(source, 0, j), load(source, 1, j), load(source, 2, j), load(source, 3, j), load(source, 4, j), load(source, 5, j)));
}

fn store(i: u32, index: u32, plane: u32, row: Line) {
  let r = transform(row);
  let first = index + i * SPAN * plane;
  v[first] = r[0];
  v[first + plane] = r[1];
  v[first + 2u * plane] = r[2];
  v[first + 3u * plane] = r[3];
  if (TILE == 4u) {
    v[first + 4u * plane] = r[4];
    v[first + 5u * plane] = r[5];
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let channels = params.x_size.w / 4u;
  let tile = index / channels;
  if (tile >= params.rows) { return; }
  let corner = vec2u(tile / params.tiles.y % params.tiles.x, tile % params.tiles.y);
  let turned = params.turned == 1u;
  let first = vec2i(corner * TILE) - params.padding + select(0, i32(SPAN) - 1, turned);
  let source = Place(tile / (params.tiles.x * params.tiles.y), first.x, first.y, select(1, -1, turned), index % channels);

  // A loop, so that software GPUs find its code in the cache for instructions: there, moving the columns up costs less than six copies
  // of the loads, and compiles in a third of the time. Real GPUs' compilers unroll it.
  var c0: Line;
  var c1: Line;
  var c2: Line;
  var c3: Line;
  var c4: Line;
  var c5: Line;
  for (var j = 0; j < i32(SPAN); j++) {
    let next = column(source, j);
    c0 = c1;
    c1 = c2;
    c2 = c3;
    c3 = c4;
    if (TILE == 2u) { c3 = next; }
    c4 = c5;
    c5 = next;
  }
  let plane = params.rows * channels;
  store(0u, index, plane, Line(c0[0], c1[0], c2[0], c3[0], c4[0], c5[0]));
  store(1u, index, plane, Line(c0[1], c1[1], c2[1], c3[1], c4[1], c5[1]));
  store(2u, index, plane, Line(c0[2], c1[2], c2[2], c3[2], c4[2], c5[2]));
  store(3u, index, plane, Line(c0[3], c1[3], c2[3], c3[3], c4[3], c5[3]));
  if (TILE == 4u) {
    store(4u, index, plane, Line(c0[4], c1[4], c2[4], c3[4], c4[4], c5[4]));
    store(5u, index, plane, Line(c0[5], c1[5], c2[5], c3[5], c4[5], c5[5]));
  }
}
