// Rung 3 of the convolution ladder, for real GPUs: the block of rung 2, fed from workgroup memory. A workgroup of 64 invocations
// computes 32 pixels (in order of memory) by 32 channels. For every tap and 16 input channels it copies the pixels' channels and
// the weights, 2 KB each, and reads every one of them 8 times from there. The number of pixels and K must be multiples of 32,
// C of 16.

struct Params {
  size: vec4u, // N, H, W, C / 4 of x
  K: u32,      // in vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [N, H, W, K]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> pixels: array<vec4f, 128>; // [32 pixels][16 channels]
var<workgroup> weights: array<vec4f, 128>; // [16 channels][32 output channels]

// A pixel's four channels, or zeros outside of its image.
fn load(pixel: u32, r: u32, s: u32, c: u32) -> vec4f {
  let H = params.size.y;
  let W = params.size.z;
  let row = pixel / W % H + r - 1u;
  let column = pixel % W + s - 1u;
  if (row >= H || column >= W) { return vec4f(); }
  return x[((pixel / (H * W) * H + row) * W + column) * params.size.w + c];
}

fn product(a: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f { return a.x * w0 + a.y * w1 + a.z * w2 + a.w * w3; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let first_k = tile % (params.K / 8u) * 8u;
  let first_pixel = tile / (params.K / 8u) * 32u;
  if (first_pixel >= params.size.x * params.size.y * params.size.z) { return; }
  let down = local / 8u * 4u;
  let across = local % 8u;
  var sum_0 = vec4f();
  var sum_1 = vec4f();
  var sum_2 = vec4f();
  var sum_3 = vec4f();
  for (var tap = 0u; tap < 9u; tap++) {
    for (var strip = 0u; strip < params.size.w; strip += 4u) {
      for (var i = local; i < 128u; i += 64u) {
        pixels[i] = load(first_pixel + i / 4u, tap / 3u, tap % 3u, strip + i % 4u);
        weights[i] = weight[((tap * params.size.w + strip) * 4u + i / 8u) * params.K + first_k + i % 8u];
      }
      workgroupBarrier();
      for (var c = 0u; c < 4u; c++) {
        let w0 = weights[c * 32u + across];
        let w1 = weights[c * 32u + 8u + across];
        let w2 = weights[c * 32u + 16u + across];
        let w3 = weights[c * 32u + 24u + across];
        sum_0 += product(pixels[down * 4u + c], w0, w1, w2, w3);
        sum_1 += product(pixels[down * 4u + 4u + c], w0, w1, w2, w3);
        sum_2 += product(pixels[down * 4u + 8u + c], w0, w1, w2, w3);
        sum_3 += product(pixels[down * 4u + 12u + c], w0, w1, w2, w3);
      }
      workgroupBarrier();
    }
  }
  let first = (first_pixel + down) * params.K + first_k + across;
  y[first] = sum_0;
  y[first + params.K] = sum_1;
  y[first + 2u * params.K] = sum_2;
  y[first + 3u * params.K] = sum_3;
}
