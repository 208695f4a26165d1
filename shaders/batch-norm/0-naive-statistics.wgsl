// Rung 0 of the batch-norm ladder, first kernel: one invocation a channel walks down the whole column twice, for the mean and for
// the variance. As many invocations as channels: a few dozen.

struct Params {
  rows: u32,
  columns: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [rows, C]
@group(0) @binding(1) var<storage, read_write> mean: array<f32>; // [C]
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>; // [C]: 1 / sqrt(variance + eps)
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let column = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (column >= params.columns) { return; }
  var sum = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    sum += x[row * params.columns + column];
  }
  let center = sum / f32(params.rows);
  var squares = 0.0;
  for (var row = 0u; row < params.rows; row++) {
    let d = x[row * params.columns + column] - center;
    squares += d * d;
  }
  mean[column] = center;
  inverse[column] = 1.0 / sqrt(squares / f32(params.rows) + params.eps);
}
