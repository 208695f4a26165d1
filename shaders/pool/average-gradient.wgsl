// The gradient of average pooling, gathered: dx[n,h,w,c] sums dy / area over the windows that contain the pixel.

alias Element = vec4f;
alias StoredDy = Element; // vec2u where it is f16
alias StoredDx = Element;
fn unpack(v: StoredDy) -> Element { return v; }
fn pack(v: Element) -> StoredDx { return v; }

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in x
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
  window: vec2u, // R, S
  stride: vec2u,
  padding: vec2u,
}

@group(0) @binding(0) var<storage, read> dy: array<StoredDy>;
@group(0) @binding(1) var<storage, read_write> dx: array<StoredDx>;
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
  let w = pixel % params.x_size.y;
  let h = pixel / params.x_size.y % params.x_size.x;
  let n = pixel / params.x_size.y / params.x_size.x;
  let image = n * params.y_size.x * params.y_size.y;

  // The windows that contain the pixel: those that start after `padded - window` and not after `padded`.
  let padded = vec2u(h, w) + params.padding;
  let first = (max(padded + 1u, params.window) - params.window + params.stride - 1u) / params.stride;
  let end = min(padded / params.stride + 1u, params.y_size);

  var sum = Element(0.0);
  for (var p = first.x; p < end.x; p++) {
    for (var q = first.y; q < end.y; q++) {
      let start = vec2u(p, q) * params.stride;
      let size = min(start + params.window - params.padding, params.x_size) - (max(start, params.padding) - params.padding);
      sum += unpack(dy[(image + p * params.y_size.y + q) * params.channels + c]) / f32(area(size));
    }
  }
  dx[at] = pack(sum);
}
