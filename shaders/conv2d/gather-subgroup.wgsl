// conv2d by implicit GEMM, for software GPUs: the forward pass, and the input gradient (the same sum with other steps).
//
//   y[n, out] = sum over taps and c of x[n, in(out, tap)] weight[tap, c]       in = place * step + (origin + tap * spacing) / divisor
//
// One subgroup computes 4 LANES places x LANES vec4s of columns of y, seen as the matrix [places, K]. No workgroup memory and
// no barriers, which are slow there; loads are what costs. Each lane loads 4 channels of 4 places and its own weights of these
// channels; broadcasts, nearly free, hand every place to all lanes. At 8 lanes: 32 floats loaded a lane for 32 x 32 x 4
// multiply-adds. Loading all before the first multiply-add matters (1.3 times as fast), so does the step of 4 channels (1.3
// times against single channels on a 32 x 64 tile).
//
// With `stats` it also writes, per tile, every column's mean and sum of squared deviations: batch norm's partials.
enable subgroups;

const LANES: u32 = 8u;
alias Stored = vec4f; // vec2u where x and y are f16
fn unpack(v: Stored) -> vec4f { return v; }
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, height, width, C: of x forward, of dy in the input gradient. C is a multiple of 4
  y_size: vec4u,  // N, height, width, K: of the whole output
  places: vec2u,  // rows and columns of places that this dispatch computes: all of y, or one phase of dx
  taps: vec2u,    // R, S
  step: vec2i,    // from one place to the next in x
  origin: vec2i,  // of tap 0 in x, times divisor
  spacing: vec2i, // from one tap to the next in x, times divisor
  divisor: vec2i, // taps whose position it does not divide contribute nothing
  spread: vec2u,  // from one place to the next in y
  phase: vec2u,   // first place in y
  stats: u32,     // 1: write partials
  adds: u32,      // 1: add to y
  tiles: u32,     // of 4 LANES places
  together: u32,  // tiles of columns that are computed in turn for each tile of places: their weights stay in the cache meanwhile
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [R, S, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>; // [tiles, 2, K]
@group(0) @binding(4) var<uniform> params: Params;

// May load texels instead (engine/gpu/texels.ts).
fn load_x(i: u32) -> Stored { return x[i]; }
fn load_weight(i: u32) -> vec4f { return weight[i]; }

// The accumulators of the places that one load brings: constant indices only, so that they become registers.
alias Tile = array<vec4f, 8>;

// A shuffle from a constant lane is a broadcast, and a few per cent faster here than subgroupBroadcast.
fn accumulate(tile: ptr<function, Tile>, a: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) {
  (*tile)[0] += subgroupShuffle(a.x, 0u) * w0 + subgroupShuffle(a.y, 0u) * w1 + subgroupShuffle(a.z, 0u) * w2 + subgroupShuffle(a.w, 0u) * w3;
  (*tile)[1] += subgroupShuffle(a.x, 1u) * w0 + subgroupShuffle(a.y, 1u) * w1 + subgroupShuffle(a.z, 1u) * w2 + subgroupShuffle(a.w, 1u) * w3;
  (*tile)[2] += subgroupShuffle(a.x, 2u) * w0 + subgroupShuffle(a.y, 2u) * w1 + subgroupShuffle(a.z, 2u) * w2 + subgroupShuffle(a.w, 2u) * w3;
  (*tile)[3] += subgroupShuffle(a.x, 3u) * w0 + subgroupShuffle(a.y, 3u) * w1 + subgroupShuffle(a.z, 3u) * w2 + subgroupShuffle(a.w, 3u) * w3;
  if (LANES > 4u) {
    (*tile)[4] += subgroupShuffle(a.x, 4u) * w0 + subgroupShuffle(a.y, 4u) * w1 + subgroupShuffle(a.z, 4u) * w2 + subgroupShuffle(a.w, 4u) * w3;
    (*tile)[5] += subgroupShuffle(a.x, 5u) * w0 + subgroupShuffle(a.y, 5u) * w1 + subgroupShuffle(a.z, 5u) * w2 + subgroupShuffle(a.w, 5u) * w3;
    (*tile)[6] += subgroupShuffle(a.x, 6u) * w0 + subgroupShuffle(a.y, 6u) * w1 + subgroupShuffle(a.z, 6u) * w2 + subgroupShuffle(a.w, 6u) * w3;
    (*tile)[7] += subgroupShuffle(a.x, 7u) * w0 + subgroupShuffle(a.y, 7u) * w1 + subgroupShuffle(a.z, 7u) * w2 + subgroupShuffle(a.w, 7u) * w3;
  }
}

// A place: its image, row and column.
fn place(index: u32) -> vec3u {
  let i = min(index, params.y_size.x * params.places.x * params.places.y - 1u);
  let row = i / params.places.y;
  return vec3u(row / params.places.x, row % params.places.x, i % params.places.y);
}

// Where a tap's channels start in x; outside of the image the value counts as zero.
struct Source { at: u32, inside: bool }

fn source(place: vec3u, offset: vec2i) -> Source {
  let at = vec2i(place.yz) * params.step + offset;
  let inside = u32(at.x) < params.x_size.y && u32(at.y) < params.x_size.z;
  let index = ((place.x * params.x_size.y + u32(at.x)) * params.x_size.z + u32(at.y)) * (params.x_size.w / 4u);
  return Source(select(0u, index, inside), inside);
}

// The place after it. Counted, not divided: an integer division costs as much as a dozen loads here.
fn next(place: vec3u) -> vec3u {
  let column = place.z + 1u;
  let new_row = column == params.places.y;
  let row = place.y + select(0u, 1u, new_row);
  let new_image = row == params.places.x;
  return vec3u(place.x + select(0u, 1u, new_image), select(row, 0u, new_image), select(column, 0u, new_row));
}

fn store_place(index: u32, at: vec3u, column: u32, sum: vec4f) {
  if (index < params.y_size.x * params.places.x * params.places.y) {
    let target_place = at.yz * params.spread + params.phase;
    let row = (at.x * params.y_size.y + target_place.x) * params.y_size.z + target_place.y;
    let to = row * (params.y_size.w / 4u) + column;
    var value = sum;
    if (params.adds == 1u) { value += unpack(y[to]); }
    y[to] = pack(value);
  }
}

// All but the first, moved up.
fn rest(tile: Tile) -> Tile { return Tile(tile[1], tile[2], tile[3], tile[4], tile[5], tile[6], tile[7], tile[7]); }

// Sum over the tile's valid places of value - mean (with mean 0: of the values), or of its square.
fn deviations(tile: ptr<function, Tile>, valid: u32, mean: vec4f, squared: bool) -> vec4f {
  var sum = vec4f(0.0);
  for (var j = 0u; j < LANES; j++) {
    if (j < valid) {
      let d = (*tile)[j] - mean;
      sum += select(d, d * d, squared);
    }
  }
  return sum;
}

// Tile of places and tile of columns: `together` of the latter for each of the former, then the next.
fn tile_of(group: u32, column_tiles: u32) -> vec2u {
  let block = params.tiles * params.together;
  let first = group / block * params.together;
  let width = min(params.together, column_tiles - first);
  return vec2u(group % block / width, first + group % block % width);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let columns = params.y_size.w / 4u;
  let places = params.y_size.x * params.places.x * params.places.y;
  let column_tiles = (columns + LANES - 1u) / LANES;
  let group = workgroup.x + workgroup.y * workgroups.x;
  if (group >= params.tiles * column_tiles) { return; }
  let tiles = tile_of(group, column_tiles);
  let row_tile = tiles.x;
  let first = row_tile * 4u * LANES;
  let column = tiles.y * LANES + lane;
  // A lane past the last column computes on a valid address and stores nothing.
  let safe_column = min(column, columns - 1u);

  var t0: Tile; var t1: Tile; var t2: Tile; var t3: Tile;
  let p0 = place(first + lane);
  let p1 = place(first + lane + LANES);
  let p2 = place(first + lane + 2u * LANES);
  let p3 = place(first + lane + 3u * LANES);
  var s0: Source; var s1: Source; var s2: Source; var s3: Source;
  var tap = 0u;
  var c = 0u;
  var nothing = false; // for this tap to add
  // One loop, not one in another: every loop carries all accumulators through a mask.
  while (tap < params.taps.x * params.taps.y) {
    if (c == 0u) {
      let offset = params.origin + params.spacing * vec2i(vec2u(tap / params.taps.y, tap % params.taps.y));
      nothing = any(offset % params.divisor != vec2i(0));
      let at = offset / params.divisor;
      s0 = source(p0, at); s1 = source(p1, at); s2 = source(p2, at); s3 = source(p3, at);
    }
    if (!nothing) {
      let at = (tap * params.x_size.w + 4u * c) * columns + safe_column;
      let w0 = load_weight(at);
      let w1 = load_weight(at + columns);
      let w2 = load_weight(at + 2u * columns);
      let w3 = load_weight(at + 3u * columns);
      let a0 = select(vec4f(), unpack(load_x(s0.at + c)), s0.inside);
      let a1 = select(vec4f(), unpack(load_x(s1.at + c)), s1.inside);
      let a2 = select(vec4f(), unpack(load_x(s2.at + c)), s2.inside);
      let a3 = select(vec4f(), unpack(load_x(s3.at + c)), s3.inside);
      accumulate(&t0, a0, w0, w1, w2, w3);
      accumulate(&t1, a1, w0, w1, w2, w3);
      accumulate(&t2, a2, w0, w1, w2, w3);
      accumulate(&t3, a3, w0, w1, w2, w3);
    }
    c++;
    if (nothing || c == params.x_size.w / 4u) { c = 0u; tap++; }
  }
  if (column >= columns) { return; }
  if (params.stats == 1u) {
    let valid = places - first;
    let count = f32(min(valid, 4u * LANES));
    let v1 = max(valid, LANES) - LANES; let v2 = max(valid, 2u * LANES) - 2u * LANES; let v3 = max(valid, 3u * LANES) - 3u * LANES;
    let zero = vec4f(0.0);
    let mean = (deviations(&t0, valid, zero, false) + deviations(&t1, v1, zero, false)
      + deviations(&t2, v2, zero, false) + deviations(&t3, v3, zero, false)) / count;
    partials[row_tile * 2u * columns + column] = mean;
    partials[(row_tile * 2u + 1u) * columns + column] = deviations(&t0, valid, mean, true) + deviations(&t1, v1, mean, true)
      + deviations(&t2, v2, mean, true) + deviations(&t3, v3, mean, true);
  }
  // A loop that stays one, since the compiler does not know its end: moving the sums up costs less than copies of the code.
  var q0 = place(first);
  var q1 = place(first + LANES);
  var q2 = place(first + 2u * LANES);
  var q3 = place(first + 3u * LANES);
  for (var k = first; k < min(places, first + LANES); k++) {
    store_place(k, q0, column, t0[0]);
    store_place(k + LANES, q1, column, t1[0]);
    store_place(k + 2u * LANES, q2, column, t2[0]);
    store_place(k + 3u * LANES, q3, column, t3[0]);
    q0 = next(q0);
    q1 = next(q1);
    q2 = next(q2);
    q3 = next(q3);
    t0 = rest(t0);
    t1 = rest(t1);
    t2 = rest(t2);
    t3 = rest(t3);
  }
}
