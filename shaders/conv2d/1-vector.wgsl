// Rung 1 of the convolution ladder: an invocation computes four output channels, and takes four input channels a turn. Five vec4
// loads for sixteen multiply-adds. C and K must be multiples of 4.

struct Params {
  size: vec4u, // N, H, W, C / 4 of x
  K: u32,      // in vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [N, H, W, K]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let H = params.size.y;
  let W = params.size.z;
  let C = params.size.w;
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let k = at % params.K;
  let pixel = at / params.K;
  let n = pixel / (H * W);
  if (n >= params.size.x) { return; }
  var sum = vec4f();
  for (var r = 0u; r < 3u; r++) {
    for (var s = 0u; s < 3u; s++) {
      let row = pixel / W % H + r - 1u;
      let column = pixel % W + s - 1u;
      if (row >= H || column >= W) { continue; }
      for (var c = 0u; c < C; c++) {
        let a = x[((n * H + row) * W + column) * C + c];
        let w = ((r * 3u + s) * C + c) * 4u * params.K + k;
        sum += a.x * weight[w] + a.y * weight[w + params.K] + a.z * weight[w + 2u * params.K] + a.w * weight[w + 3u * params.K];
      }
    }
  }
  y[at] = sum;
}
