// conv2d with groups, weight gradient:
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, group(k) * C / groups + c] dy[n, p, q, k]
//
// One invocation a value of dweight, over the output rows (n, p) of its split. The splits' sums are added by a second dispatch,
// in fixed order.

alias Value = f32; // vec4f for depthwise convolutions with C = K, a multiple of 4: sizes then count vec4s of channels
alias Stored = Value; // vec2u where x and dy are f16, and Value vec4f
fn unpack(v: Stored) -> Value { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C
  dy_size: vec4u,  // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  group: vec2u,   // channels of x and of y in one group
  splits: u32,
  rows_per_split: u32, // output rows (n, p) that one split sums over
  split_size: u32,     // values from one split's dweight to the next
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read_write> dweight: array<Value>; // [splits, R, S, C / groups, K]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let values = params.window.x * params.window.y * params.group.x * params.dy_size.w;
  let split = index / values;
  if (split >= params.splits) { return; }
  let own = index % values;
  let k = own % params.dy_size.w;
  let c = k / params.group.y * params.group.x + own / params.dy_size.w % params.group.x;
  let tap = own / (params.dy_size.w * params.group.x);
  let offset = vec2i(vec2u(tap / params.window.y, tap % params.window.y) * params.window.zw) - params.step.zw;
  var sum = Value(0.0);
  let end = min((split + 1u) * params.rows_per_split, params.dy_size.x * params.dy_size.y);
  for (var row = split * params.rows_per_split; row < end; row++) {
    let h = u32(i32(row % params.dy_size.y) * params.step.x + offset.x);
    if (h >= params.x_size.y) { continue; }
    let image_row = (row / params.dy_size.y * params.x_size.y + h) * params.x_size.z;
    for (var q = 0u; q < params.dy_size.z; q++) {
      let w = u32(i32(q) * params.step.y + offset.y);
      if (w >= params.x_size.z) { continue; }
      sum += unpack(x[(image_row + w) * params.x_size.w + c]) * unpack(dy[(row * params.dy_size.z + q) * params.dy_size.w + k]);
    }
  }
  dweight[split * params.split_size + own] = sum;
}
