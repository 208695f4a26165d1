// Rung 1 of the batch-norm ladder, first kernel: mean and squared deviations of tiles of 32 rows. One invocation a tile and
// channel, so there are rows / 32 times as many as in rung 0; the second sweep finds its 32 rows in the cache.

const ROWS: u32 = 32u;
alias Vector = f32; // vec4f in rung 2

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
}

@group(0) @binding(0) var<storage, read> x: array<Vector>; // [rows, C]
@group(0) @binding(1) var<storage, read_write> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let tile = i / params.columns;
  let first = tile * ROWS;
  if (first >= params.rows) { return; }
  let end = min(first + ROWS, params.rows);
  var sum = Vector(0.0);
  for (var row = first; row < end; row++) {
    sum += x[row * params.columns + column];
  }
  let center = sum / f32(end - first);
  var squares = Vector(0.0);
  for (var row = first; row < end; row++) {
    let d = x[row * params.columns + column] - center;
    squares += d * d;
  }
  partials[tile * 2u * params.columns + column] = center;
  partials[(tile * 2u + 1u) * params.columns + column] = squares;
}
