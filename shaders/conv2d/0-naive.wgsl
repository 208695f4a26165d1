// Rung 0 of the convolution ladder: y[n,p,q,k] = sum over the 3 x 3 taps and c of x[n, p + r - 1, q + s - 1, c] weight[r,s,c,k], as
// the formula stands (stride 1, padding 1). One invocation, one number of y, two loads a multiply-add.

struct Params {
  size: vec4u, // N, H, W, C of x
  K: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [N, H, W, K]
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
  var sum = 0.0;
  for (var r = 0u; r < 3u; r++) {
    for (var s = 0u; s < 3u; s++) {
      // Unsigned: left of the image and above it, the number is huge, and one comparison does for both sides.
      let row = pixel / W % H + r - 1u;
      let column = pixel % W + s - 1u;
      if (row >= H || column >= W) { continue; }
      for (var c = 0u; c < C; c++) {
        sum += x[((n * H + row) * W + column) * C + c] * weight[((r * 3u + s) * C + c) * params.K + k];
      }
    }
  }
  y[at] = sum;
}
