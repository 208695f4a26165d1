// Copies a strided block of x to a strided block of y, of the same shape: permute, slice, concat, pad, broadcasting, and their
// gradients. Elements are bits, so every type is moved unchanged. T is vec4u where rows allow it, and then sizes, strides and
// offsets count vec4s. Neighbouring invocations take neighbouring elements of the block's last axis.

alias T = u32;
const ELEMENTS: u32 = 4u;

struct Params {
  size: u32, // elements of the block
  rank: u32, // used entries of shape
  x_offset: u32,
  y_offset: u32,
  shape: array<vec4u, 2>,   // extents of the block, outermost first, neighbouring axes merged
  strides: array<vec4u, 4>, // x's (first two), then y's
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
  let first = (workgroup.x + workgroup.y * workgroups.x) * 64u * ELEMENTS + local;
  for (var e = 0u; e < ELEMENTS; e++) {
    let i = first + e * 64u;
    if (i < params.size) {
      var rest = i;
      var from_x = params.x_offset;
      var to_y = params.y_offset;
      for (var n = params.rank; n > 0u; n--) {
        let axis = n - 1u;
        let extent = params.shape[axis / 4u][axis % 4u];
        let index = rest % extent;
        rest /= extent;
        from_x += index * params.strides[axis / 4u][axis % 4u];
        to_y += index * params.strides[2u + axis / 4u][axis % 4u];
      }
      y[to_y] = x[from_x];
    }
  }
}
