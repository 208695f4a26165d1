// Rung 4 of the convolution ladder, for software GPUs: a subgroup computes LANES pixels of a row by LANES * 4 channels. Each lane
// loads four channels of its own pixel and the weights of its own output channels: five loads a lane, LANES * 16 multiply-adds.
// subgroupBroadcast shows every lane the other pixels. W must be a multiple of LANES, C of 4, K of LANES * 4.

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  size: vec4u, // N, H, W, C / 4 of x
  K: u32,      // in vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [N, H, W, K]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let H = params.size.y;
  let W = params.size.z;
  let C = params.size.w;
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let k = tile % (params.K / LANES) * LANES + lane;
  let first_pixel = tile / (params.K / LANES) * LANES;
  let pixel = first_pixel + lane;
  let n = first_pixel / (H * W);
  if (n >= params.size.x) { return; }
  var sums: array<vec4f, 8>;
  for (var r = 0u; r < 3u; r++) {
    for (var s = 0u; s < 3u; s++) {
      let row = pixel / W % H + r - 1u;
      let column = pixel % W + s - 1u;
      // No branch: broadcasts need every lane. Outside of the image the lane's pixel counts as zero.
      let inside = row < H && column < W;
      let at = select(0u, ((n * H + row) * W + column) * C, inside);
      for (var c = 0u; c < C; c++) {
        let w = ((r * 3u + s) * C + c) * 4u * params.K + k;
        let w0 = weight[w];
        let w1 = weight[w + params.K];
        let w2 = weight[w + 2u * params.K];
        let w3 = weight[w + 3u * params.K];
        let a = select(vec4f(), x[at + c], inside);
        sums[0] += subgroupBroadcast(a.x, 0u) * w0 + subgroupBroadcast(a.y, 0u) * w1 + subgroupBroadcast(a.z, 0u) * w2 + subgroupBroadcast(a.w, 0u) * w3;
        sums[1] += subgroupBroadcast(a.x, 1u) * w0 + subgroupBroadcast(a.y, 1u) * w1 + subgroupBroadcast(a.z, 1u) * w2 + subgroupBroadcast(a.w, 1u) * w3;
        sums[2] += subgroupBroadcast(a.x, 2u) * w0 + subgroupBroadcast(a.y, 2u) * w1 + subgroupBroadcast(a.z, 2u) * w2 + subgroupBroadcast(a.w, 2u) * w3;
        sums[3] += subgroupBroadcast(a.x, 3u) * w0 + subgroupBroadcast(a.y, 3u) * w1 + subgroupBroadcast(a.z, 3u) * w2 + subgroupBroadcast(a.w, 3u) * w3;
        if (LANES == 8u) {
          sums[4] += subgroupBroadcast(a.x, 4u) * w0 + subgroupBroadcast(a.y, 4u) * w1 + subgroupBroadcast(a.z, 4u) * w2 + subgroupBroadcast(a.w, 4u) * w3;
          sums[5] += subgroupBroadcast(a.x, 5u) * w0 + subgroupBroadcast(a.y, 5u) * w1 + subgroupBroadcast(a.z, 5u) * w2 + subgroupBroadcast(a.w, 5u) * w3;
          sums[6] += subgroupBroadcast(a.x, 6u) * w0 + subgroupBroadcast(a.y, 6u) * w1 + subgroupBroadcast(a.z, 6u) * w2 + subgroupBroadcast(a.w, 6u) * w3;
          sums[7] += subgroupBroadcast(a.x, 7u) * w0 + subgroupBroadcast(a.y, 7u) * w1 + subgroupBroadcast(a.z, 7u) * w2 + subgroupBroadcast(a.w, 7u) * w3;
        }
      }
    }
  }
  let first = first_pixel * params.K + k;
  y[first] = sums[0];
  y[first + params.K] = sums[1];
  y[first + 2u * params.K] = sums[2];
  y[first + 3u * params.K] = sums[3];
  if (LANES == 8u) {
    y[first + 4u * params.K] = sums[4];
    y[first + 5u * params.K] = sums[5];
    y[first + 6u * params.K] = sums[6];
    y[first + 7u * params.K] = sums[7];
  }
}
