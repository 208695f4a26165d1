// The most bytes a second that invocations can load where memory does not limit them: all read the same few KiB again and again,
// which stay in the nearest cache. On a software GPU this, and not arithmetic, bounds most kernels: every load is checked and
// gathered lane by lane. y [n] = the sum of rounds * 8 vec4s of x, beginning at the invocation's own and going around.

const TABLE: u32 = 256u; // vec4s in x, a power of two

struct Params {
  vectors: u32, // vec4s in y: the number of invocations
  rounds: u32,
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
  let index = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (index >= params.vectors) {
    return;
  }
  var at = index;
  var a = vec4f(0.0);
  var b = vec4f(0.0);
  for (var i = 0u; i < params.rounds; i++) {
    a += x[at & (TABLE - 1u)];
    b += x[(at + 1u) & (TABLE - 1u)];
    a += x[(at + 2u) & (TABLE - 1u)];
    b += x[(at + 3u) & (TABLE - 1u)];
    a += x[(at + 4u) & (TABLE - 1u)];
    b += x[(at + 5u) & (TABLE - 1u)];
    a += x[(at + 6u) & (TABLE - 1u)];
    b += x[(at + 7u) & (TABLE - 1u)];
    at += 8u;
  }
  y[index] = a + b;
}
