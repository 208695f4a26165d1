// Fewer tiles of partial statistics: every TILES of them become one. statistics.wgsl and gradient-statistics.wgsl have only a workgroup for
// 4 columns; where there are very many tiles and few columns, a large GPU would wait for a handful of workgroups. An invocation merges
// its tiles in order.

const TILES: u32 = 32u;
const MOMENTS: bool = true; // means and squared deviations; false: the two sums of the gradient
alias Vector = vec4f; // f32 where C is not a multiple of 4

struct Params {
  tiles: u32,
  columns: u32, // Vectors in a row
  rows_per_tile: u32, // with MOMENTS
  rows: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(1) var<storage, read_write> merged: array<Vector>; // [tiles / TILES, 2, C]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let first = i / params.columns * TILES;
  if (first >= params.tiles) { return; }
  var count = 0.0;
  var one = Vector(0.0);
  var other = Vector(0.0);
  for (var tile = first; tile < min(first + TILES, params.tiles); tile++) {
    let at = tile * 2u * params.columns + column;
    if (MOMENTS) {
      let rows = f32(min(params.rows_per_tile, params.rows - tile * params.rows_per_tile));
      let d = partials[at] - one;
      let share = rows / (count + rows);
      one += d * share;
      other += partials[at + params.columns] + d * d * (count * share);
      count += rows;
    } else {
      one += partials[at];
      other += partials[at + params.columns];
    }
  }
  let at = first / TILES * 2u * params.columns + column;
  merged[at] = one;
  merged[at + params.columns] = other;
}
