// Fewer tiles of partial statistics: every TILES of them become one. statistics.wgsl and gradient-statistics.wgsl have only a workgroup for
// 4 columns; where there are very many tiles and few columns, a large GPU would wait for a handful of workgroups. An invocation merges
// its tiles in order.

const TILES: u32 = 32u;
const TURN: u32 = 1u; // tiles a turn: a real GPU loads 8 ahead of waiting for the first. Past the last they count for nothing.
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
  for (var start = first; start < min(first + TILES, params.tiles); start += TURN) {
    for (var t = 0u; t < TURN; t++) {
      let tile = start + t;
      let inside = tile < params.tiles;
      let at = min(tile, params.tiles - 1u) * 2u * params.columns + column;
      let second = select(Vector(0.0), partials[at + params.columns], inside);
      if (MOMENTS) {
        let rows = select(0.0, f32(min(params.rows_per_tile, params.rows - tile * params.rows_per_tile)), inside);
        let d = partials[at] - one;
        let share = rows / (count + rows);
        one += d * share;
        other += second + d * d * (count * share);
        count += rows;
      } else {
        one += select(Vector(0.0), partials[at], inside);
        other += second;
      }
    }
  }
  let at = first / TILES * 2u * params.columns + column;
  merged[at] = one;
  merged[at + params.columns] = other;
}
