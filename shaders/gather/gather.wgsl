// Picks slices: x [outer, n, inner], indices [m] -> y [outer, m, inner]. Elements are 32 bits, moved unchanged, of whatever type;
// T is vec4u where `inner` allows it, and then `inner` counts vec4s.

alias T = u32;

struct Params {
  size: u32, // elements of y
  n: u32,
  m: u32,
  inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;
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
  let slot = (at / params.inner) % params.m;
  let outer = at / (params.inner * params.m);
  // An index out of range would read another slice's elements or none: clamp it to the last.
  let from_slice = min(indices[slot], params.n - 1u);
  y[at] = x[(outer * params.n + from_slice) * params.inner + i];
}
