// First pass of batch norm's gradient: for every tile of rows and every column the sums of dy and of dy * (x - mean) * inverse.
// With `relu`, dy counts only where y > 0: y is computed again from x, which spares reading it. Where something was added before the
// relu, y must be read; with `writes_masked` the masked dy is then also written, for the second pass and as the gradient of what was added.
// One invocation a tile and 4 columns.

const TURN: u32 = 1u; // as in apply.wgsl; here rows past the end add nothing
alias Vector = vec4f; // f32 where C is not a multiple of 4
alias Stored = Vector; // vec2u where x is f16
fn unpack(v: Stored) -> Vector { return v; }
fn pack(v: Vector) -> Stored { return v; }
fn relu() -> bool { return params.relu == 1u; }
fn writes_masked() -> bool { return params.writes_masked == 1u; }

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
  rows_per_tile: u32, // a multiple of TURN
  relu: u32,
  writes_masked: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> y: array<Stored>; // with writes_masked
@group(0) @binding(2) var<storage, read> dy: array<Stored>;
@group(0) @binding(3) var<storage, read> affine: array<Vector>; // [4, C]: see statistics.wgsl
@group(0) @binding(4) var<storage, read_write> masked: array<Stored>;
@group(0) @binding(5) var<storage, read_write> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let tile = i / params.columns;
  let first = tile * params.rows_per_tile;
  if (first >= params.rows) { return; }
  let mean = affine[column];
  let scale = affine[2u * params.columns + column];
  let shift = affine[3u * params.columns + column];
  var sum = Vector(0.0);
  var product = Vector(0.0);
  for (var row = first; row < min(first + params.rows_per_tile, params.rows); row += TURN) {
    for (var r = 0u; r < TURN; r++) {
      let at = min(row + r, params.rows - 1u) * params.columns + column;
      let deviation = unpack(x[at]) - mean;
      var d = unpack(dy[at]);
      if (relu()) {
        var value = deviation * scale + shift; // the very expression of apply.wgsl
        if (writes_masked()) { value = unpack(y[at]); }
        d = select(Vector(0.0), d, value > Vector(0.0));
      }
      if (writes_masked()) { masked[at] = pack(d); }
      d = select(Vector(0.0), d, row + r < params.rows);
      sum += d;
      product += d * deviation;
    }
  }
  partials[tile * 2u * params.columns + column] = sum;
  partials[(tile * 2u + 1u) * params.columns + column] = product * affine[params.columns + column];
}
