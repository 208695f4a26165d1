// Copies a strided block of x to a strided block of y, of the same shape: permute, slice, concat, pad, broadcasting, and their
// gradients. Elements are bits, so every type is moved unchanged. T is vec4u where rows allow it, and then sizes, strides and
// offsets count vec4s.

alias T = u32;
const ELEMENTS: u32 = 4u;

struct Params {
  size: u32, // elements of the block
  rank: u32, // used entries of axes
  x_offset: u32,
  y_offset: u32,
  axes: array<vec4u, 8>, // of the block, outermost first, neighbours merged: extent, x's stride, y's stride
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * ELEMENTS;
  let last = params.axes[max(params.rank, 1u) - 1u];
  var at = place(first);
  var column = first % last.x;
  for (var e = 0u; e < ELEMENTS; e++) {
    if (first + e < params.size) {
      y[at.y] = x[at.x];
    }
    // Divisions are slow: within a row the next element is one stride on.
    column++;
    at += last.yz;
    if (column == last.x) {
      at = place(first + e + 1u);
      column = 0u;
    }
  }
}

// Where element i of the block lies in x and y.
fn place(i: u32) -> vec2u {
  var rest = i;
  var at = vec2u(params.x_offset, params.y_offset);
  for (var n = params.rank; n > 0u; n--) {
    let axis = params.axes[n - 1u];
    let above = rest / axis.x;
    at += (rest - above * axis.x) * axis.yz;
    rest = above;
  }
  return at;
}
