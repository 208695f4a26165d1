// conv2d with groups, input gradient, as a gather over the output pixels that saw a pixel of x:
//
//   dx[n, h, w, c] = sum over taps and k of c's group of dy[n, ((h, w) + padding - tap * dilation) / stride, k] weight[tap, c - first of group, k]
//
// taps left out that stride does not divide. One invocation a value of dx.

alias Value = f32; // vec4f for depthwise convolutions with C = K, a multiple of 4: sizes then count vec4s of channels
alias Stored = Value; // vec2u where dy and dx are f16, and Value vec4f
fn unpack(v: Stored) -> Value { return v; }
fn pack(v: Value) -> Stored { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C
  dy_size: vec4u,  // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  group: vec2u,   // channels of x and of y in one group
}

@group(0) @binding(0) var<storage, read> dy: array<Stored>;
@group(0) @binding(1) var<storage, read> weight: array<Value>; // [R, S, C / groups, K]
@group(0) @binding(2) var<storage, read_write> dx: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let c = index % params.x_size.w;
  let pixel = index / params.x_size.w;
  let row = pixel / params.x_size.z;
  let n = row / params.x_size.y;
  if (n >= params.x_size.x) { return; }
  let origin = vec2i(vec2u(row % params.x_size.y, pixel % params.x_size.z)) + params.step.zw;
  let first = c / params.group.x * params.group.y;
  var sum = Value(0.0);
  for (var r = 0u; r < params.window.x; r++) {
    let h = origin.x - i32(r * params.window.z);
    let p = u32(h / params.step.x);
    if (h < 0 || h % params.step.x != 0 || p >= params.dy_size.y) { continue; }
    for (var s = 0u; s < params.window.y; s++) {
      let w = origin.y - i32(s * params.window.w);
      let q = u32(w / params.step.y);
      if (w < 0 || w % params.step.y != 0 || q >= params.dy_size.z) { continue; }
      let at = ((n * params.dy_size.y + p) * params.dy_size.z + q) * params.dy_size.w + first;
      let weight_at = ((r * params.window.y + s) * params.group.x + c % params.group.x) * params.dy_size.w + first;
      for (var k = 0u; k < params.group.y; k++) { sum += unpack(dy[at + k]) * weight[weight_at + k]; }
    }
  }
  dx[index] = pack(sum);
}
