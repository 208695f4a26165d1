// Adds the tiles' sums of the first pass to dbias and dweight, and makes the five numbers per channel with which the second
// pass gets by: dx = slope * dy + tilt * (x - mean) + level. One workgroup adds 4 columns, in fixed order.

const TURN: u32 = 1u; // as in statistics.wgsl
const GROUP: u32 = 1u; // as in statistics.wgsl
alias Vector = vec4f; // f32 where C is not a multiple of 4

struct Params {
  tiles: u32,
  columns: u32, // Vectors in a row
  batch_share: f32, // 1 / rows in training; 0 in evaluation, where the statistics do not depend on x
}

@group(0) @binding(0) var<storage, read> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(1) var<storage, read> affine: array<Vector>; // [4, C]: see statistics.wgsl
@group(0) @binding(2) var<storage, read_write> dweight: array<Vector>;
@group(0) @binding(3) var<storage, read_write> dbias: array<Vector>;
@group(0) @binding(4) var<storage, read_write> coefficients: array<Vector>; // [5, C]: slope, tilt, level, mean, shift
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<Vector, 64>;
var<workgroup> products: array<Vector, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let column = workgroup.x + workgroup.y * workgroups.x;
  if (column >= params.columns) { return; }
  var sum = Vector(0.0);
  var product = Vector(0.0);
  for (var first = local; first < params.tiles; first += 64u * TURN) {
    for (var t = 0u; t < TURN; t++) {
      let tile = first + 64u * t;
      let at = min(tile, params.tiles - 1u) * 2u * params.columns + column;
      let inside = tile < params.tiles;
      sum += select(Vector(0.0), partials[at], inside);
      product += select(Vector(0.0), partials[at + params.columns], inside);
    }
  }
  sums[local] = sum;
  products[local] = product;
  workgroupBarrier();
  if (GROUP > 1u) {
    if (local % GROUP == 0u) {
      for (var i = 1u; i < GROUP; i++) {
        sum += sums[local + i];
        product += products[local + i];
      }
      sums[local] = sum;
      products[local] = product;
    }
    workgroupBarrier();
  }
  if (local == 0u) {
    for (var i = GROUP; i < 64u; i += GROUP) {
      sum += sums[i];
      product += products[i];
    }
    let slope = affine[2u * params.columns + column];
    let inverse = affine[params.columns + column];
    dbias[column] = sum;
    dweight[column] = product;
    coefficients[column] = slope;
    coefficients[params.columns + column] = -slope * inverse * product * params.batch_share;
    coefficients[2u * params.columns + column] = -slope * sum * params.batch_share;
    coefficients[3u * params.columns + column] = affine[column];
    coefficients[4u * params.columns + column] = affine[3u * params.columns + column];
  }
}
