// Position of the largest of x [outer, reduced, inner] along `reduced`; of equal ones the first, and NaN before all. One invocation an output.

struct Params {
  size: u32, // outer * inner
  reduced: u32,
  inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.size) {
    return;
  }
  let row = (at / params.inner) * params.reduced * params.inner + at % params.inner;
  var best = x[row];
  var position = 0u;
  for (var r = 1u; r < params.reduced; r++) {
    let value = x[row + r * params.inner];
    if ((value > best || is_nan(value)) && !is_nan(best)) {
      best = value;
      position = r;
    }
  }
  y[at] = position;
}

// By the bits: comparisons with NaN may be optimised away.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
