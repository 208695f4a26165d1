// The gradient of max pooling, gathered: dx[n,h,w,c] sums dy of those windows whose largest value was this pixel's. Scattering
// would need float atomics, whose order (and so the result's last bits) changes from run to run.

alias Element = vec4f;
alias Index = vec4u;
alias Stored = Element; // vec2u where x is f16
fn unpack(v: Stored) -> Element { return v; }
fn pack(v: Element) -> Stored { return v; }

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in x
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
  window: vec2u, // R, S
  stride: vec2u,
  padding: vec2u,
}

@group(0) @binding(0) var<storage, read> dy: array<Stored>;
@group(0) @binding(1) var<storage, read> indices: array<Index>;
@group(0) @binding(2) var<storage, read_write> dx: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

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

  let position = Index(h * params.x_size.y + w);
  var sum = Element(0.0);
  for (var p = first.x; p < end.x; p++) {
    for (var q = first.y; q < end.y; q++) {
      let window = (image + p * params.y_size.y + q) * params.channels + c;
      sum += select(Element(0.0), unpack(dy[window]), indices[window] == position);
    }
  }
  dx[at] = pack(sum);
}
