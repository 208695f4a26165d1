// Rung 0 of the Winograd ladder: F(2x2, 3x3) in one kernel. One invocation computes a tile of 2 x 2 pixels of one output channel:
// for each input channel it transforms 4 x 4 pixels and 3 x 3 weights, multiplies the two number by number (16 multiplications
// where the direct sum has 36), and transforms the sums of these products back at the end. Stride 1, padding 1, even H and W.
// The algorithm is right and the kernel slow: every output channel transforms the same pixels again, every tile the same weights.

struct Params {
  size: vec4u, // N, H, W, C of x
  K: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [N, H, W, C]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [3, 3, C, K]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [N, H, W, K]
@group(0) @binding(3) var<uniform> params: Params;

fn pixel(n: u32, row: u32, column: u32, c: u32) -> f32 {
  if (row >= params.size.y || column >= params.size.z) { return 0.0; }
  return x[((n * params.size.y + row) * params.size.z + column) * params.size.w + c];
}

// Four pixels of a row.
fn pixels(n: u32, row: u32, column: u32, c: u32) -> vec4f {
  return vec4f(pixel(n, row, column, c), pixel(n, row, column + 1u, c), pixel(n, row, column + 2u, c), pixel(n, row, column + 3u, c));
}

// Three taps of a row.
fn taps(r: u32, c: u32, k: u32) -> vec3f {
  let at = (r * 3u * params.size.w + c) * params.K + k;
  let step = params.size.w * params.K;
  return vec3f(weight[at], weight[at + step], weight[at + 2u * step]);
}

// B^T d and G g of one dimension, then A^T m: the customary points 0, 1, -1.
fn input(d: vec4f) -> vec4f { return vec4f(d.x - d.z, d.y + d.z, d.z - d.y, d.y - d.w); }
fn filtered(g: vec3f) -> vec4f { return vec4f(g.x, 0.5 * (g.x + g.y + g.z), 0.5 * (g.x - g.y + g.z), g.z); }
fn output(m: vec4f) -> vec2f { return vec2f(m.x + m.y + m.z, m.y - m.z - m.w); }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let across = params.size.z / 2u;
  let down = params.size.y / 2u;
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let k = at % params.K;
  let tile = at / params.K;
  let n = tile / (across * down);
  if (n >= params.size.x) { return; }
  let row = tile / across % down * 2u;
  let column = tile % across * 2u;
  var m0 = vec4f();
  var m1 = vec4f();
  var m2 = vec4f();
  var m3 = vec4f();
  for (var c = 0u; c < params.size.w; c++) {
    // The tile and a border of one pixel. Before the image, row - 1 is huge: outside like the rest.
    let d0 = pixels(n, row - 1u, column - 1u, c);
    let d1 = pixels(n, row, column - 1u, c);
    let d2 = pixels(n, row + 1u, column - 1u, c);
    let d3 = pixels(n, row + 2u, column - 1u, c);
    let g0 = taps(0u, c, k);
    let g1 = taps(1u, c, k);
    let g2 = taps(2u, c, k);
    // Down the columns by adding whole rows, then along each row.
    m0 += input(d0 - d2) * filtered(g0);
    m1 += input(d1 + d2) * filtered(0.5 * (g0 + g1 + g2));
    m2 += input(d2 - d1) * filtered(0.5 * (g0 - g1 + g2));
    m3 += input(d1 - d3) * filtered(g2);
  }
  let top = output(m0 + m1 + m2);
  let bottom = output(m1 - m2 - m3);
  let first = ((n * params.size.y + row) * params.size.z + column) * params.K + k;
  let below = first + params.size.z * params.K;
  y[first] = top.x;
  y[first + params.K] = top.y;
  y[below] = bottom.x;
  y[below + params.K] = bottom.y;
}
