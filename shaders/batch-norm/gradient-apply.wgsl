// Second pass of batch norm's gradient: dx = slope * dy + tilt * (x - mean) + level, with the coefficients of the first. With `relu`,
// dy counts only where y > 0. One invocation computes 4 Vectors.

const VECTORS: u32 = 4u;
alias Vector = vec4f; // f32 where C is not a multiple of 4

struct Params {
  vectors: u32, // Vectors in x
  columns: u32, // Vectors in a row
  relu: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Vector>;
@group(0) @binding(1) var<storage, read> y: array<Vector>;
@group(0) @binding(2) var<storage, read> dy: array<Vector>;
@group(0) @binding(3) var<storage, read> coefficients: array<Vector>; // [4, C]: slope, tilt, level, mean
@group(0) @binding(4) var<storage, read_write> dx: array<Vector>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    if (at < params.vectors) {
      let column = at % params.columns;
      var d = dy[at];
      if (params.relu == 1u) { d = select(Vector(0.0), d, y[at] > Vector(0.0)); }
      let centred = x[at] - coefficients[3u * params.columns + column];
      dx[at] = coefficients[column] * d + coefficients[params.columns + column] * centred
        + coefficients[2u * params.columns + column];
    }
  }
}
