// conv2d with groups, forward: every output channel sees the input channels of its own group only.
//
//   y[n, p, q, k] = sum over taps and c of x[n, (p, q) * stride + tap * dilation - padding, group(k) * C / groups + c] weight[tap, c, k]
//
// One invocation a value of y. Groups have too few channels each for the tiles of the other kernels.

alias Value = f32; // vec4f for depthwise convolutions with C = K, a multiple of 4: sizes then count vec4s of channels
alias Stored = Value; // vec2u where x and y are f16, and Value vec4f
fn unpack(v: Stored) -> Value { return v; }
fn pack(v: Value) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C
  y_size: vec4u,  // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  group: vec2u,   // channels of x and of y in one group
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<Value>; // [R, S, C / groups, K]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let k = index % params.y_size.w;
  let place = index / params.y_size.w;
  let row = place / params.y_size.z;
  let n = row / params.y_size.y;
  if (n >= params.y_size.x) { return; }
  let origin = vec2i(vec2u(row % params.y_size.y, place % params.y_size.z)) * params.step.xy - params.step.zw;
  let first = k / params.group.y * params.group.x;
  var sum = Value(0.0);
  for (var r = 0u; r < params.window.x; r++) {
    let h = u32(origin.x + i32(r * params.window.z));
    if (h >= params.x_size.y) { continue; }
    for (var s = 0u; s < params.window.y; s++) {
      let w = u32(origin.y + i32(s * params.window.w));
      if (w >= params.x_size.z) { continue; }
      let at = ((n * params.x_size.y + h) * params.x_size.z + w) * params.x_size.w + first;
      let weight_at = (r * params.window.y + s) * params.group.x * params.y_size.w + k;
      for (var c = 0u; c < params.group.x; c++) { sum += unpack(x[at + c]) * weight[weight_at + c * params.y_size.w]; }
    }
  }
  y[index] = pack(sum);
}
