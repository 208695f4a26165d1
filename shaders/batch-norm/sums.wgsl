// Batch norm's partial statistics of x seen as the matrix [rows, C]: for every tile of rows and every column the mean and the
// sum of squared deviations from it. The convolution kernels write the same for their own output; this one is for any x.
// Two sweeps over a tile, the second of which finds it in the cache. One invocation a tile and 4 columns.

const TURN: u32 = 1u; // as in apply.wgsl; here rows past the end add nothing
alias Vector = vec4f; // f32 where C is not a multiple of 4
alias Stored = Vector; // vec2u where x is f16
fn unpack(v: Stored) -> Vector { return v; }

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
  rows_per_tile: u32, // a multiple of TURN
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
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
  let first = tile * params.rows_per_tile;
  if (first >= params.rows) { return; }
  let end = min(first + params.rows_per_tile, params.rows);
  var sum = Vector(0.0);
  for (var row = first; row < end; row += TURN) {
    for (var r = 0u; r < TURN; r++) {
      let value = unpack(x[min(row + r, end - 1u) * params.columns + column]);
      sum += select(Vector(0.0), value, row + r < end);
    }
  }
  let mean = sum / f32(end - first);
  var squares = Vector(0.0);
  for (var row = first; row < end; row += TURN) {
    for (var r = 0u; r < TURN; r++) {
      let d = unpack(x[min(row + r, end - 1u) * params.columns + column]) - mean;
      squares += select(Vector(0.0), d * d, row + r < end);
    }
  }
  partials[tile * 2u * params.columns + column] = mean;
  partials[(tile * 2u + 1u) * params.columns + column] = squares;
}
