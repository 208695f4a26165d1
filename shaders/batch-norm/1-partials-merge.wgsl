// Rung 1 of the batch-norm ladder, second kernel: merges the tiles. Two groups with counts, means and squared deviations make one
// by Chan's formula, whose numbers stay as small as the deviations themselves; E[x^2] - E[x]^2 would subtract two large ones.

alias Vector = f32; // vec4f in rung 2

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
  tiles: u32,
  rows_per_tile: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(1) var<storage, read_write> mean: array<Vector>;
@group(0) @binding(2) var<storage, read_write> inverse: array<Vector>;
@group(0) @binding(3) var<uniform> params: Params;

struct Moments { count: f32, mean: Vector, squares: Vector }

fn merge(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let share = select(0.0, b.count / count, count > 0.0);
  let d = b.mean - a.mean;
  return Moments(count, a.mean + d * share, a.squares + b.squares + d * d * (a.count * share));
}

var<workgroup> counts: array<f32, 64>;
var<workgroup> means: array<Vector, 64>;
var<workgroup> squares: array<Vector, 64>;

// A workgroup a column: 64 shares of its tiles, then one invocation adds the shares.
@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let column = workgroup.x + workgroup.y * workgroups.x;
  if (column >= params.columns) { return; }
  var total = Moments(0.0, Vector(0.0), Vector(0.0));
  for (var tile = local; tile < params.tiles; tile += 64u) {
    let count = f32(min(params.rows_per_tile, params.rows - tile * params.rows_per_tile));
    let at = tile * 2u * params.columns + column;
    total = merge(total, Moments(count, partials[at], partials[at + params.columns]));
  }
  counts[local] = total.count;
  means[local] = total.mean;
  squares[local] = total.squares;
  workgroupBarrier();
  if (local == 0u) {
    for (var i = 1u; i < 64u; i++) { total = merge(total, Moments(counts[i], means[i], squares[i])); }
    mean[column] = total.mean;
    inverse[column] = 1.0 / sqrt(total.squares / total.count + params.eps);
  }
}
