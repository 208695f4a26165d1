// Rung 2 of the convolution ladder: an invocation computes four output channels of four neighbouring pixels of a row. The four
// vec4s of weights serve all four pixels: eight loads for sixty-four multiply-adds. W, C and K must be multiples of 4.

struct Params {
  size: vec4u, // N, H, W, C / 4 of x
  K: u32,      // in vec4s
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [N, H, W, K]
@group(0) @binding(3) var<uniform> params: Params;

// Where a pixel starts in x: outside of the image it is read somewhere, and zero chosen in its place. A branch here would keep
// the four pixels from being computed together.
struct Source { at: u32, inside: bool }

fn source(n: u32, row: u32, column: u32) -> Source {
  let inside = row < params.size.y && column < params.size.z;
  let pixel = (n * params.size.y + row) * params.size.z + column;
  return Source(select(0u, pixel * params.size.w, inside), inside);
}

fn product(a: vec4f, w0: vec4f, w1: vec4f, w2: vec4f, w3: vec4f) -> vec4f { return a.x * w0 + a.y * w1 + a.z * w2 + a.w * w3; }

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
  let pixel = at / params.K * 4u; // the first of four
  let n = pixel / (H * W);
  if (n >= params.size.x) { return; }
  var sum_0 = vec4f();
  var sum_1 = vec4f();
  var sum_2 = vec4f();
  var sum_3 = vec4f();
  for (var r = 0u; r < 3u; r++) {
    for (var s = 0u; s < 3u; s++) {
      let row = pixel / W % H + r - 1u;
      let column = pixel % W + s - 1u;
      let p0 = source(n, row, column);
      let p1 = source(n, row, column + 1u);
      let p2 = source(n, row, column + 2u);
      let p3 = source(n, row, column + 3u);
      for (var c = 0u; c < C; c++) {
        let w = ((r * 3u + s) * C + c) * 4u * params.K + k;
        let w0 = weight[w];
        let w1 = weight[w + params.K];
        let w2 = weight[w + 2u * params.K];
        let w3 = weight[w + 3u * params.K];
        sum_0 += product(select(vec4f(), x[p0.at + c], p0.inside), w0, w1, w2, w3);
        sum_1 += product(select(vec4f(), x[p1.at + c], p1.inside), w0, w1, w2, w3);
        sum_2 += product(select(vec4f(), x[p2.at + c], p2.inside), w0, w1, w2, w3);
        sum_3 += product(select(vec4f(), x[p3.at + c], p3.inside), w0, w1, w2, w3);
      }
    }
  }
  let first = pixel * params.K + k;
  y[first] = sum_0;
  y[first + params.K] = sum_1;
  y[first + 2u * params.K] = sum_2;
  y[first + 3u * params.K] = sum_3;
}
