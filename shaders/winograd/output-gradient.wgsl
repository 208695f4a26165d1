// The gradient of output.wgsl: dm = A dy A^T for every tile of TILE x TILE pixels, four channels an invocation. Pixels past the
// image's edge have no gradient. The weight gradient is then, plane by plane, the product of V and dm over all tiles.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;
alias Stored = vec4f; // vec2u where dy is f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  dy_size: vec4u, // N, P, Q, K; K is a multiple of 4
  tiles: vec2u,   // rows and columns of tiles in an image
  rows: u32,      // tiles of all images, rounded up to 4: the last ones may be nothing but zeros
}

@group(0) @binding(0) var<storage, read> dy: array<Stored>;
@group(0) @binding(1) var<storage, read_write> dm: array<vec4f>; // [SPAN * SPAN, rows, K]
@group(0) @binding(2) var<uniform> params: Params;

// TILE 2 leaves the last two unused, and the compiler removes them.
alias Line = array<vec4f, 6>;

// A times a line of pixels.
fn transform(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> Line {
  if (TILE == 2u) {
    return Line(a, a + b, a - b, -b, vec4f(), vec4f());
  }
  let even = a + 4.0 / 9.0 * c;
  let odd = 2.0 / 3.0 * b + 8.0 / 27.0 * d;
  let outer_even = a + 9.0 / 4.0 * c;
  let outer_odd = 3.0 / 2.0 * b + 27.0 / 8.0 * d;
  return Line(a, even + odd, even - odd, outer_even + outer_odd, outer_even - outer_odd, d);
}

// The tile's first pixel, and the four channels.
struct Place { image: u32, top: u32, left: u32, channel: u32 }

fn load(source: Place, i: u32, j: u32) -> vec4f {
  let at = vec2u(source.top + i, source.left + j);
  let inside = source.image < params.dy_size.x && at.x < params.dy_size.y && at.y < params.dy_size.z;
  let pixel = (source.image * params.dy_size.y + at.x) * params.dy_size.z + at.y;
  return select(vec4f(), unpack(dy[select(0u, pixel * (params.dy_size.w / 4u) + source.channel, inside)]), inside);
}

fn column(source: Place, j: u32) -> Line {
  return transform(load(source, 0u, j), load(source, 1u, j), load(source, 2u, j), load(source, 3u, j));
}

fn store(i: u32, index: u32, plane: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
  let r = transform(a, b, c, d);
  let first = index + i * SPAN * plane;
  dm[first] = r[0];
  dm[first + plane] = r[1];
  dm[first + 2u * plane] = r[2];
  dm[first + 3u * plane] = r[3];
  if (TILE == 4u) {
    dm[first + 4u * plane] = r[4];
    dm[first + 5u * plane] = r[5];
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let channels = params.dy_size.w / 4u;
  let tile = index / channels;
  if (tile >= params.rows) { return; }
  let corner = vec2u(tile / params.tiles.y % params.tiles.x, tile % params.tiles.y) * TILE;
  let source = Place(tile / (params.tiles.x * params.tiles.y), corner.x, corner.y, index % channels);

  let c0 = column(source, 0u);
  let c1 = column(source, 1u);
  let c2 = column(source, 2u);
  let c3 = column(source, 3u);
  let plane = params.rows * channels;
  store(0u, index, plane, c0[0], c1[0], c2[0], c3[0]);
  store(1u, index, plane, c0[1], c1[1], c2[1], c3[1]);
  store(2u, index, plane, c0[2], c1[2], c2[2], c3[2]);
  store(3u, index, plane, c0[3], c1[3], c2[3], c3[3]);
  if (TILE == 4u) {
    store(4u, index, plane, c0[4], c1[4], c2[4], c3[4]);
    store(5u, index, plane, c0[5], c1[5], c2[5], c3[5]);
  }
}
