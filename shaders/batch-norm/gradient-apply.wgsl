// Second pass of batch norm's gradient: dx = slope * dy + tilt * (x - mean) + level, with the coefficients of the first. With `relu`,
// dy counts only where y = slope * (x - mean) + shift > 0. One invocation computes 4 columns of 8 rows.

const ROWS: u32 = 8u;
const TURN: u32 = 1u; // as in apply.wgsl
alias Vector = vec4f; // f32 where C is not a multiple of 4
alias Stored = Vector; // vec2u where x is f16
fn unpack(v: Stored) -> Vector { return v; }
fn pack(v: Vector) -> Stored { return v; }
fn relu() -> bool { return params.relu == 1u; }

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
  relu: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read> coefficients: array<Vector>; // [5, C]: slope, tilt, level, mean, shift
@group(0) @binding(3) var<storage, read_write> dx: array<Stored>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let first = (i / params.columns) * ROWS;
  let slope = coefficients[column];
  let tilt = coefficients[params.columns + column];
  let level = coefficients[2u * params.columns + column];
  let mean = coefficients[3u * params.columns + column];
  let shift = coefficients[4u * params.columns + column];
  for (var row = first; row < min(first + ROWS, params.rows); row += TURN) {
    for (var r = 0u; r < TURN; r++) {
      let at = min(row + r, params.rows - 1u) * params.columns + column;
      let deviation = unpack(x[at]) - mean;
      var d = unpack(dy[at]);
      if (relu()) { d = select(Vector(0.0), d, deviation * slope + shift > Vector(0.0)); }
      dx[at] = pack(slope * d + tilt * deviation + level);
    }
  }
}
