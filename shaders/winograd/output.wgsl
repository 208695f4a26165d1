// Winograd's transform back to pixels: y = A^T m A for every tile, four channels an invocation. Pixels past the image's edge,
// in its last row or column of tiles, are not stored. With `turned` a tile's pixels are stored in reverse. See input.wgsl.
//
// With `stats` it also writes every tile's mean and sum of squared deviations: batch norm's partials. Tiles then fit the image.

const TILE: u32 = 4u; // output pixels on a tile's side: 4 or 2
const SPAN: u32 = TILE + 2u;
// Whether the loop over a tile's columns must stay one: see input.wgsl. Its end is then one that the compiler does not know. (With
// such an end Tint guards a loop against running forever; real GPUs need not pay for that.)
const ROLLED: bool = false;
alias Stored = vec4f; // vec2u where y is f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  y_size: vec4u, // N, P, Q, K; K is a multiple of 4
  tiles: vec2u,  // rows and columns of tiles in an image
  rows: u32,     // tiles of all images, rounded up to 4
  stats: u32,    // 1: write partials
  turned: u32,   // 1: the tile's last pixel comes first
  adds: u32,     // 1: add to y
  span: u32,     // SPAN
}

@group(0) @binding(0) var<storage, read> m: array<vec4f>; // [SPAN * SPAN, rows, K]
@group(0) @binding(1) var<storage, read_write> y: array<Stored>;
@group(0) @binding(2) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(3) var<uniform> params: Params;

// TILE 2 leaves the last two unused, and the compiler removes them.
alias Line = array<vec4f, 6>;
alias Pixels = array<vec4f, 4>;

// A^T times a line.
fn transform(m: Line) -> Pixels {
  if (TILE == 2u) {
    return Pixels(m[0] + m[1] + m[2], m[1] - m[2] - m[3], vec4f(), vec4f());
  }
  let even = m[1] + m[2];
  let odd = m[1] - m[2];
  let outer_even = m[3] + m[4];
  let outer_odd = m[3] - m[4];
  return Pixels(
    m[0] + even + outer_even,
    2.0 / 3.0 * odd + 3.0 / 2.0 * outer_odd,
    4.0 / 9.0 * even + 9.0 / 4.0 * outer_even,
    8.0 / 27.0 * odd + 27.0 / 8.0 * outer_odd + m[5],
  );
}

fn load(index: u32, i: u32, j: u32) -> vec4f {
  return m[index + (i * SPAN + j) * params.rows * (params.y_size.w / 4u)];
}

fn column(index: u32, j: u32) -> Pixels {
  if (TILE == 2u) {
    return transform(Line(load(index, 0u, j), load(index, 1u, j), load(index, 2u, j), load(index, 3u, j), vec4f(), vec4f()));
  }
  return transform(Line(load(index, 0u, j), load(index, 1u, j), load(index, 2u, j), load(index, 3u, j), load(index, 4u, j), load(index, 5u, j)));
}

// The tile's first pixel, and the four channels.
struct Place { image: u32, top: u32, left: u32, channel: u32 }

// A pixel's vec4 in y, if it lies in the image.
struct Target { at: u32, exists: bool }

fn target_of(to: Place, i: u32, j: u32) -> Target {
  let at = vec2u(to.top, to.left) + select(vec2u(i, j), TILE - 1u - vec2u(i, j), params.turned == 1u);
  let inside = min(at, params.y_size.yz - 1u); // of the same tile
  let pixel = (to.image * params.y_size.y + inside.x) * params.y_size.z + inside.y;
  return Target(pixel * (params.y_size.w / 4u) + to.channel, all(at == inside));
}

fn store_pixel(to: Target, value: vec4f) {
  if (to.exists) { y[to.at] = pack(value); }
}

// What a row is added to is loaded before its first pixel is stored: between stores each load would be waited for.
fn store(to: Place, i: u32, r: Pixels) {
  let to0 = target_of(to, i, 0u);
  let to1 = target_of(to, i, 1u);
  let to2 = target_of(to, i, 2u);
  let to3 = target_of(to, i, 3u);
  var held: Pixels;
  if (params.adds == 1u) {
    held[0] = unpack(y[to0.at]);
    held[1] = unpack(y[to1.at]);
    if (TILE == 4u) {
      held[2] = unpack(y[to2.at]);
      held[3] = unpack(y[to3.at]);
    }
  }
  store_pixel(to0, r[0] + held[0]);
  store_pixel(to1, r[1] + held[1]);
  if (TILE == 4u) {
    store_pixel(to2, r[2] + held[2]);
    store_pixel(to3, r[3] + held[3]);
  }
}

fn sum(r: Pixels) -> vec4f {
  if (TILE == 2u) { return r[0] + r[1]; }
  return r[0] + r[1] + r[2] + r[3];
}

fn squares(r: Pixels, mean: vec4f) -> vec4f {
  let d0 = r[0] - mean;
  let d1 = r[1] - mean;
  if (TILE == 2u) { return d0 * d0 + d1 * d1; }
  let d2 = r[2] - mean;
  let d3 = r[3] - mean;
  return d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3;
}

// The columns of a tile, back to pixels: the last SPAN that were pushed.
struct Columns { c0: Pixels, c1: Pixels, c2: Pixels, c3: Pixels, c4: Pixels, c5: Pixels }

fn push(c: ptr<function, Columns>, next: Pixels) {
  (*c).c0 = (*c).c1;
  (*c).c1 = (*c).c2;
  (*c).c2 = (*c).c3;
  (*c).c3 = (*c).c4;
  if (TILE == 2u) { (*c).c3 = next; }
  (*c).c4 = (*c).c5;
  (*c).c5 = next;
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let channels = params.y_size.w / 4u;
  let tile = index / channels;
  let image = tile / (params.tiles.x * params.tiles.y);
  if (image >= params.y_size.x) { return; }
  let corner = vec2u(tile / params.tiles.y % params.tiles.x, tile % params.tiles.y) * TILE;
  let to = Place(image, corner.x, corner.y, index % channels);

  var c: Columns;
  if (ROLLED) {
    for (var j = 0u; j < params.span; j++) { push(&c, column(index, j)); }
  } else {
    for (var j = 0u; j < SPAN; j++) { push(&c, column(index, j)); }
  }
  let r0 = transform(Line(c.c0[0], c.c1[0], c.c2[0], c.c3[0], c.c4[0], c.c5[0]));
  let r1 = transform(Line(c.c0[1], c.c1[1], c.c2[1], c.c3[1], c.c4[1], c.c5[1]));
  var r2: Pixels;
  var r3: Pixels;
  store(to, 0u, r0);
  store(to, 1u, r1);
  if (TILE == 4u) {
    r2 = transform(Line(c.c0[2], c.c1[2], c.c2[2], c.c3[2], c.c4[2], c.c5[2]));
    r3 = transform(Line(c.c0[3], c.c1[3], c.c2[3], c.c3[3], c.c4[3], c.c5[3]));
    store(to, 2u, r2);
    store(to, 3u, r3);
  }
  if (params.stats == 1u) {
    let mean = (sum(r0) + sum(r1) + sum(r2) + sum(r3)) / f32(TILE * TILE);
    partials[tile * 2u * channels + to.channel] = mean;
    var deviations = squares(r0, mean) + squares(r1, mean);
    if (TILE == 4u) { deviations += squares(r2, mean) + squares(r3, mean); }
    partials[(tile * 2u + 1u) * channels + to.channel] = deviations;
  }
}
