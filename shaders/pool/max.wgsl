// Max pooling: y[n,p,q,c] is the largest x in a window of R x S pixels, and indices[n,p,q,c] where it lies (h * W + w). Of equal
// values the first in reading order wins, and NaN over all, as in PyTorch. Padding never wins, so the window is cut to the image instead of testing
// every tap. An invocation computes one Element: four neighbouring channels, or one where C is not a multiple of 4.

alias Element = vec4f;
alias Index = vec4u;
alias Stored = Element; // vec2u where x is f16
fn unpack(v: Stored) -> Element { return v; }
fn pack(v: Element) -> Stored { return v; }

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in y
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
  window: vec2u, // R, S
  stride: vec2u,
  padding: vec2u,
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read_write> y: array<Stored>;
@group(0) @binding(2) var<storage, read_write> indices: array<Index>;
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
  let q = pixel % params.y_size.y;
  let p = pixel / params.y_size.y % params.y_size.x;
  let n = pixel / params.y_size.y / params.y_size.x;
  let image = n * params.x_size.x * params.x_size.y;

  // The window in padded pixels, then in the image's: the padding is at most half a window, so it never becomes empty.
  let start = vec2u(p, q) * params.stride;
  let first = max(start, params.padding) - params.padding;
  let end = min(start + params.window - params.padding, params.x_size);

  var best = unpack(x[(image + first.x * params.x_size.y + first.y) * params.channels + c]);
  var index = Index(first.x * params.x_size.y + first.y);
  for (var h = first.x; h < end.x; h++) {
    for (var w = first.y; w < end.y; w++) {
      let position = h * params.x_size.y + w;
      let value = unpack(x[(image + position) * params.channels + c]);
      // NaN by its bits: comparisons with it may be optimised away.
      let wins = (value > best) | ((bitcast<Index>(value) & Index(0x7fffffffu)) > Index(0x7f800000u));
      index = select(index, Index(position), wins);
      best = select(best, value, wins);
    }
  }
  y[at] = pack(best);
  indices[at] = index;
}
