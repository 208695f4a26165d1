// The gradient of bilinear resizing, gathered: dx[n,h,w,c] sums the dy of the outputs that read the pixel, times its share in
// them. `share` is the forward pass's arithmetic, so both agree exactly; outputs that don't read the pixel have share 0.

alias Element = vec4f;

struct Params {
  channels: u32, // Elements in a pixel
  elements: u32, // Elements in x
  x_size: vec2u, // H, W
  y_size: vec2u, // P, Q
}

@group(0) @binding(0) var<storage, read> dy: array<Element>;
@group(0) @binding(1) var<storage, read_write> dx: array<Element>;
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
  let w = pixel % params.x_size.y;
  let h = pixel / params.x_size.y % params.x_size.x;
  let image = pixel / params.x_size.y / params.x_size.x * params.y_size.x;

  let rows = readers(h, params.x_size.x, params.y_size.x);
  let columns = readers(w, params.x_size.y, params.y_size.y);
  var sum = Element(0.0);
  for (var p = rows.x; p < rows.y; p++) {
    var line = Element(0.0);
    for (var q = columns.x; q < columns.y; q++) {
      let value = dy[((image + p) * params.y_size.y + q) * params.channels + c];
      line += share(w, q, params.x_size.y, params.y_size.y) * value;
    }
    sum += share(h, p, params.x_size.x, params.y_size.x) * line;
  }
  dx[at] = sum;
}

// A range of outputs that holds all those whose centre is less than a pixel from pixel i. Those at the upper edge, whose centre
// is clamped to 0, lie before pixel 0.
fn readers(i: u32, in_size: u32, out_size: u32) -> vec2u {
  let first = (2u * max(i, 1u) - 1u) * out_size / (2u * in_size);
  let end = (2u * i + 3u) * out_size / (2u * in_size) + 2u;
  return vec2u(select(max(first, 1u) - 1u, 0u, i == 0u), min(end, out_size));
}

// The share of input pixel i in output o.
fn share(i: u32, o: u32, in_size: u32, out_size: u32) -> f32 {
  let unit = 2u * out_size;
  let centre = max((2u * o + 1u) * in_size, out_size) - out_size;
  let low = centre / unit;
  let high_share = f32(centre % unit) / f32(unit);
  return select(0.0, 1.0 - high_share, i == low) + select(0.0, high_share, i == min(low + 1u, in_size - 1u));
}
