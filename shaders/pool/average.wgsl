// Average pooling: y[n,p,q,c] is the mean of x over a window of R x S pixels. `area` divides: all of the window with its padding
// (PyTorch's default), or only what lies in the image. The whole image as one window is global average pooling. An invocation
// computes one Element: four neighbouring channels, or one where C is not a multiple of 4.

alias Element = vec4f;
alias StoredX = Element; // vec2u where it is f16
alias StoredY = Element;
fn unpack(v: StoredX) -> Element { return v; }
fn pack(v: Element) -> StoredY { return v; }

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in y
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
  window: vec2u, // R, S
  stride: vec2u,
  padding: vec2u,
}

@group(0) @binding(0) var<storage, read> x: array<StoredX>;
@group(0) @binding(1) var<storage, read_write> y: array<StoredY>;
@group(0) @binding(2) var<uniform> params: Params;

// `size`: the part of the window that lies in the image. Without the padding: size.x * size.y.
fn area(size: vec2u) -> u32 { return params.window.x * params.window.y; }

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
  let n = pixel / params.y_size.y / params.y_size.x;
  let image = n * params.x_size.x * params.x_size.y;

  let start = vec2u(p, q) * params.stride;
  let first = max(start, params.padding) - params.padding;
  let end = min(start + params.window - params.padding, params.x_size);

  var sum = Element(0.0);
  for (var h = first.x; h < end.x; h++) {
    for (var w = first.y; w < end.y; w++) {
      sum += unpack(x[(image + h * params.x_size.y + w) * params.channels + c]);
    }
  }
  y[at] = pack(sum / f32(area(end - first)));
}
