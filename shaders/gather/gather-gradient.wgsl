// The gradient of gather: every slice of dx [outer, n, inner] sums the slices of dy [outer, m, inner] that were picked from it,
// in the order of the indices. Searching them all (m reads an element) needs no atomics, so the sum's order is fixed.

alias T = f32;

struct Params {
  size: u32, // elements of dx
  n: u32,
  m: u32,
  inner: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<T>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.size) {
    return;
  }
  let i = at % params.inner;
  let target_slice = (at / params.inner) % params.n;
  let row = at / (params.inner * params.n) * params.m;
  var total = T(0.0);
  for (var slot = 0u; slot < params.m; slot++) {
    if (min(indices[slot], params.n - 1u) == target_slice) {
      total += dy[(row + slot) * params.inner + i];
    }
  }
  dx[at] = total;
}
