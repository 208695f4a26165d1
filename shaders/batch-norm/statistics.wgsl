// From partial statistics to those of the whole batch, and the step of the running ones; or, in evaluation, the running ones. And what the
// other kernels need of them: y = (x - mean) * scale + shift. Means and squared deviations of tiles are merged pairwise (Chan, Golub
// and LeVeque 1979), which keeps full precision where a difference of sums of squares would cancel. One workgroup merges 4 columns: each
// invocation a strided share of the tiles, then one of them all shares, in fixed order. On real GPUs every 8th merges 8 of them before.
// (On software GPUs a tree with its barriers takes four times as long to compile.)

const TURN: u32 = 1u; // tiles a turn: a real GPU loads 4 ahead of waiting for the first. Past the last they count for nothing.
const GROUP: u32 = 1u; // shares that are merged before
alias Vector = vec4f; // f32 where C is not a multiple of 4

struct Params {
  tiles: u32,
  rows_per_tile: u32,
  rows: u32,
  columns: u32, // Vectors in a row
  eps: f32,
  momentum: f32, // 0 leaves the running statistics as they are
  evaluation: u32, // 1: there are no tiles, and the running statistics count
}

@group(0) @binding(0) var<storage, read> partials: array<Vector>; // [tiles, 2, C]
@group(0) @binding(1) var<storage, read> weight: array<Vector>;
@group(0) @binding(2) var<storage, read> bias: array<Vector>;
@group(0) @binding(3) var<storage, read_write> affine: array<Vector>; // [4, C]: mean, 1 / sqrt(variance + eps), scale, shift
@group(0) @binding(4) var<storage, read_write> running_mean: array<Vector>;
@group(0) @binding(5) var<storage, read_write> running_var: array<Vector>;
@group(0) @binding(6) var<uniform> params: Params;

struct Moments { count: f32, mean: Vector, squares: Vector }

fn merge(a: Moments, b: Moments) -> Moments {
  let count = a.count + b.count;
  let d = b.mean - a.mean;
  let share = select(0.0, b.count / count, count > 0.0);
  return Moments(count, a.mean + d * share, a.squares + b.squares + d * d * (a.count * share));
}

var<workgroup> counts: array<f32, 64>;
var<workgroup> means: array<Vector, 64>;
var<workgroup> squares: array<Vector, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let column = workgroup.x + workgroup.y * workgroups.x;
  if (column >= params.columns) { return; }
  var total = Moments(0.0, Vector(0.0), Vector(0.0));
  for (var first = local; first < params.tiles; first += 64u * TURN) {
    for (var t = 0u; t < TURN; t++) {
      let tile = first + 64u * t;
      let at = min(tile, params.tiles - 1u) * 2u * params.columns + column;
      let inside = tile < params.tiles;
      let rows = select(0u, min(params.rows_per_tile, params.rows - tile * params.rows_per_tile), inside);
      let deviations = select(Vector(0.0), partials[at + params.columns], inside);
      total = merge(total, Moments(f32(rows), partials[at], deviations));
    }
  }
  counts[local] = total.count;
  means[local] = total.mean;
  squares[local] = total.squares;
  workgroupBarrier();
  if (GROUP > 1u) {
    if (local % GROUP == 0u) {
      for (var i = 1u; i < GROUP; i++) {
        total = merge(total, Moments(counts[local + i], means[local + i], squares[local + i]));
      }
      counts[local] = total.count;
      means[local] = total.mean;
      squares[local] = total.squares;
    }
    workgroupBarrier();
  }
  if (local == 0u) {
    for (var i = GROUP; i < 64u; i += GROUP) {
      total = merge(total, Moments(counts[i], means[i], squares[i]));
    }
    var mean = running_mean[column];
    var variance = running_var[column];
    if (params.evaluation == 0u) {
      mean = total.mean;
      variance = total.squares / total.count;
    }
    let inverse = 1.0 / sqrt(variance + params.eps);
    affine[column] = mean;
    affine[params.columns + column] = inverse;
    affine[2u * params.columns + column] = inverse * weight[column];
    affine[3u * params.columns + column] = bias[column];
    if (params.evaluation == 0u && params.momentum > 0.0) {
      // PyTorch's running variance is the unbiased one, though the batch is normalised by the biased one.
      let unbiased = total.squares / (total.count - 1.0);
      running_mean[column] += params.momentum * (total.mean - running_mean[column]);
      running_var[column] += params.momentum * (unbiased - running_var[column]);
    }
  }
}
