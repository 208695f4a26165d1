// Bilinear resizing: y[n,p,q,c] mixes the four pixels of x around its centre. Centres are at half pixels and clamped to the image
// (PyTorch's align_corners=False, without an anti-aliasing filter). The centre of output i is at ((2 i + 1) in - out) / (2 out) of
// the input: whole numbers until the last division, so that both passes and every device agree. An invocation computes one
// Element: four neighbouring channels, or one where C is not a multiple of 4.

alias Element = vec4f;

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in y
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
}

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.elements) {
    return;
  }
  let c = at % params.channels;
  let pixel = at / params.channels;
  let q = pixel % params.y_size.y;
  let p = pixel / params.y_size.y % params.y_size.x;
  let image = pixel / params.y_size.y / params.y_size.x * params.x_size.x;

  // In units of 1 / (2 out) pixels; at the upper edge the centre is clamped to 0, at the lower the second pixel to the last.
  let unit = 2u * params.y_size;
  let position = (2u * vec2u(p, q) + 1u) * params.x_size;
  let centre = max(position, params.y_size) - params.y_size;
  let low = centre / unit;
  let high = min(low + 1u, params.x_size - 1u);
  let share = vec2f(centre % unit) / vec2f(unit);

  let top = mix(load(image + low.x, low.y, c), load(image + low.x, high.y, c), share.y);
  let bottom = mix(load(image + high.x, low.y, c), load(image + high.x, high.y, c), share.y);
  y[at] = mix(top, bottom, share.x);
}

fn load(row: u32, column: u32, c: u32) -> Element {
  return x[(row * params.x_size.y + column) * params.channels + c];
}
