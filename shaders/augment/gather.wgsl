// A batch of images out of a u8 data set on the device: gathered, augmented and normalised in one pass. One invocation makes one
// pixel of the output; it walks backwards from there to the source:
//
//   output --(post: whole-pixel crop and flips)--> outer --(affine: rotation, scale)--> inner --(pre: like post)--> source
//
// A stage maps its output's coordinates to its input's, p = sign * q + offset or a 2x3 matrix, then its border rule brings p back
// into the image. Boxes (cutout) are tested in the frame where they were cut: 0 output, 1 outer, 2 inner, 3 source.
// The set is bound in windows of whole images, one a launch; pixels whose image lies in another window are left to its launch.

const INTERPOLATE: bool = true; // false: no affine stage, every pixel is a source pixel

struct Record {
  image: vec4u,            // x: the image's index in the whole set
  pre: vec4i,              // sign x, sign y, offset x, offset y
  post: vec4i,
  affine_x: vec4f,         // source x = dot(affine_x.xyz, (x, y, 1))
  affine_y: vec4f,
  boxes: array<vec4i, 8>,  // x0, y0, x1, y1, the upper ends excluded; empty where x1 <= x0
}

struct Params {
  inside: vec4i,                // width, height of source; of inner
  outside: vec4i,               // width, height of outer; of the output
  borders: vec4u,               // of pre, affine, post: 0 constant, 1 edge, 2 reflect, 3 reflect101
  border_fills: array<vec4f, 3>,
  box_frames: array<vec4u, 2>,
  box_fills: array<vec4f, 8>,
  mean: vec4f,                  // in units of 0..255, w = 0
  scale: vec4f,                 // 1 / (255 std), w = 0
  pixels: u32,                  // of the output, over all images
  window_first: u32,            // the window's first image
  window_count: u32,
  box_count: i32,
}

@group(0) @binding(0) var<storage, read> images: array<u32>;
@group(0) @binding(1) var<storage, read> records: array<Record>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let pixel = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (pixel >= params.pixels) {
    return;
  }
  let width = u32(params.outside.z);
  let height = u32(params.outside.w);
  let n = pixel / (width * height);
  if (records[n].image.x - params.window_first >= params.window_count) {
    return;
  }
  let value = output_pixel(n, vec2i(vec2u(pixel % width, pixel / width % height)));
  let normal = (value - params.mean) * params.scale;
  y[pixel * 3u] = normal.x;
  y[pixel * 3u + 1u] = normal.y;
  y[pixel * 3u + 2u] = normal.z;
}

fn output_pixel(n: u32, q: vec2i) -> vec4f {
  let box = box_at(n, 0u, q);
  if (box >= 0) {
    return params.box_fills[box];
  }
  let post = records[n].post;
  let p = into_frame(post.xy * q + post.zw, params.outside.xy, params.borders.z);
  if (p.x < 0) {
    return params.border_fills[2];
  }
  return outer_pixel(n, p);
}

fn outer_pixel(n: u32, q: vec2i) -> vec4f {
  let box = box_at(n, 1u, q);
  if (box >= 0) {
    return params.box_fills[box];
  }
  if (!INTERPOLATE) {
    return inner_pixel(n, q);
  }
  let at = vec3f(vec2f(q), 1.0);
  let p = vec2f(dot(records[n].affine_x.xyz, at), dot(records[n].affine_y.xyz, at));
  let corner = floor(p);
  let f = p - corner;
  // The border rule holds for each tap: a point between the last pixel and what lies behind the border blends both.
  // A loop, because everything behind a tap is inlined: four copies would take drivers four times as long to compile.
  var sum = vec4f(0.0);
  for (var tap = 0; tap < 4; tap++) {
    let step = vec2i(tap & 1, tap >> 1);
    let weight = select(1.0 - f, f, step == vec2i(1));
    sum += weight.x * weight.y * affine_tap(n, vec2i(corner) + step);
  }
  return sum;
}

fn affine_tap(n: u32, q: vec2i) -> vec4f {
  let p = into_frame(q, params.inside.zw, params.borders.y);
  if (p.x < 0) {
    return params.border_fills[1];
  }
  return inner_pixel(n, p);
}

fn inner_pixel(n: u32, q: vec2i) -> vec4f {
  let box = box_at(n, 2u, q);
  if (box >= 0) {
    return params.box_fills[box];
  }
  let pre = records[n].pre;
  let p = into_frame(pre.xy * q + pre.zw, params.inside.xy, params.borders.x);
  if (p.x < 0) {
    return params.border_fills[0];
  }
  let source_box = box_at(n, 3u, p);
  if (source_box >= 0) {
    return params.box_fills[source_box];
  }
  return source_pixel(records[n].image.x - params.window_first, p);
}

fn source_pixel(image: u32, p: vec2i) -> vec4f {
  let width = u32(params.inside.x);
  let first = ((image * u32(params.inside.y) + u32(p.y)) * width + u32(p.x)) * 3u;
  return vec4f(byte(first), byte(first + 1u), byte(first + 2u), 0.0);
}

fn byte(at: u32) -> f32 {
  return f32((images[at / 4u] >> (8u * (at % 4u))) & 255u);
}

// The last box of this frame that covers p, or -1: what was cut later lies on top.
fn box_at(n: u32, frame: u32, p: vec2i) -> i32 {
  for (var k = params.box_count - 1; k >= 0; k--) {
    if (params.box_frames[k / 4][k % 4] == frame) {
      let box = records[n].boxes[k];
      if (all(p >= box.xy) && all(p < box.zw)) {
        return k;
      }
    }
  }
  return -1;
}

// (-1, -1) where p lies outside and the border is constant.
fn into_frame(p: vec2i, size: vec2i, border: u32) -> vec2i {
  if (all(p >= vec2i(0)) && all(p < size)) {
    return p;
  }
  if (border == 0u) {
    return vec2i(-1);
  }
  if (border == 1u) {
    return clamp(p, vec2i(0), size - 1);
  }
  // reflect: cba|abc|cba has period 2 n, reflect101: cb|abc|ba has 2 n - 2.
  let skip = vec2i(i32(border) - 2);
  let period = max(2 * size - 2 * skip, vec2i(1));
  let r = (p % period + period) % period;
  return select(2 * size - 1 - skip - r, r, r < size);
}
