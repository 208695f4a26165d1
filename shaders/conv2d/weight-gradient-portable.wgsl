// conv2d's weight gradient by implicit GEMM, without subgroups or workgroup memory: runs on any adapter.
//
//   dweight[tap, c, k] = sum over n, p, q of x[n, (p, q) * stride + tap * dilation - padding, c] dy[n, p, q, k]
//
// Seen as the matrix [R S C, K]: one invocation computes 4 rows (the channels of one vec4 of x) x 2 vec4 of columns over the
// output rows (n, p) of its split: 3 vec4s loaded for 8 vec4 multiply-adds. The splits' sums are added by a second dispatch,
// in fixed order.

alias Stored = vec4f; // vec2u where x and dy are f16
fn unpack(v: Stored) -> vec4f { return v; }

struct Params {
  x_size: vec4u,  // N, H, W, C; C is a multiple of 4
  dy_size: vec4u, // N, P, Q, K
  window: vec4u,  // R, S, dilation of rows and of columns
  step: vec4i,    // stride of rows and columns, padding of each
  splits: u32,
  rows_per_split: u32, // output rows (n, p) that one split sums over
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> dy: array<Stored>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>; // [splits, R, S, C, K]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let columns = params.dy_size.w / 4u;
  let pairs = (columns + 1u) / 2u;
  let channels = params.x_size.w / 4u;
  let blocks = params.window.x * params.window.y * channels; // of 4 rows
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let split = index / (pairs * blocks);
  if (split >= params.splits) { return; }
  let column = index % pairs * 2u;
  let next = min(column + 1u, columns - 1u) - column;
  let block = index / pairs % blocks;
  let tap = block / channels;
  let channel = block % channels;
  let offset = vec2i(vec2u(tap / params.window.y, tap % params.window.y) * params.window.zw) - params.step.zw;

  var x0 = vec4f(0.0); var y0 = vec4f(0.0); var z0 = vec4f(0.0); var w0 = vec4f(0.0);
  var x1 = vec4f(0.0); var y1 = vec4f(0.0); var z1 = vec4f(0.0); var w1 = vec4f(0.0);
  let end = min((split + 1u) * params.rows_per_split, params.dy_size.x * params.dy_size.y);
  for (var row = split * params.rows_per_split; row < end; row++) {
    let i = i32(row % params.dy_size.y) * params.step.x + offset.x;
    if (u32(i) >= params.x_size.y) { continue; }
    let image_row = (row / params.dy_size.y * params.x_size.y + u32(i)) * params.x_size.z;
    for (var q = 0u; q < params.dy_size.z; q++) {
      let j = i32(q) * params.step.y + offset.y;
      let inside = u32(j) < params.x_size.z;
      let at = (image_row + u32(j)) * channels + channel;
      let pixel = (row * params.dy_size.z + q) * columns + column;
      let a = select(vec4f(), unpack(x[select(0u, at, inside)]), inside);
      let b0 = unpack(dy[pixel]);
      let b1 = unpack(dy[pixel + next]);
      x0 += a.x * b0; y0 += a.y * b0; z0 += a.z * b0; w0 += a.w * b0;
      x1 += a.x * b1; y1 += a.y * b1; z1 += a.z * b1; w1 += a.w * b1;
    }
  }
  let at = (split * blocks + block) * 4u * columns + column;
  dweight[at] = x0;
  dweight[at + columns] = y0;
  dweight[at + 2u * columns] = z0;
  dweight[at + 3u * columns] = w0;
  if (column + 1u < columns) {
    dweight[at + 1u] = x1;
    dweight[at + columns + 1u] = y1;
    dweight[at + 2u * columns + 1u] = z1;
    dweight[at + 3u * columns + 1u] = w1;
  }
}
