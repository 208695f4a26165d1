// y = x where an element is kept, times `scale`, else 0. Whether it is kept is a pure function of (seed, step, element): the
// gradient runs the same kernel on dy, and no mask is stored. Element i is lane i % 4 of pcg4d(seed, step, i / 4, purpose), of
// which the upper 24 bits are compared with the threshold p * 2^24. The twin on the host is engine/random.ts.

const VECTORS: u32 = 4u; // per invocation
const PURPOSE: u32 = 3u; // Purpose.dropout

struct Params {
  vectors: u32, // vec4s in x
  seed: u32,
  step: u32,
  threshold: u32,
  scale: f32, // 1 / (1 - p)
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    if (at < params.vectors) {
      let random = pcg4d(vec4u(params.seed, params.step, at, PURPOSE));
      let kept = (random >> vec4u(8u)) >= vec4u(params.threshold);
      y[at] = select(vec4f(0.0), x[at] * params.scale, kept);
    }
  }
}

// Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020.
fn pcg4d(key: vec4u) -> vec4u {
  var v = key * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}
