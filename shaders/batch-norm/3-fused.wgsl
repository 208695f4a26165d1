// Rung 3 of the batch-norm ladder: normalise and relu in one pass. The value is in a register already; a relu of its own would
// write it, read it and write it again.

const ROWS: u32 = 8u;

struct Params {
  rows: u32,
  columns: u32, // vec4s in a row
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [rows, C]
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> inverse: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let first = i / params.columns * ROWS;
  let center = mean[column];
  let scale = inverse[column] * weight[column];
  let shift = bias[column];
  for (var row = first; row < min(first + ROWS, params.rows); row++) {
    let at = row * params.columns + column;
    y[at] = max((x[at] - center) * scale + shift, vec4f());
  }
}
