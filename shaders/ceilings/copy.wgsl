// The most bytes a second from memory and back: y = x. Four vec4s an invocation.

const VECTORS: u32 = 4u;

struct Params {
  vectors: u32, // vec4s in x
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

// Neighbouring invocations take neighbouring vec4s: one wide access on a real GPU. Software GPUs like `first + i` better.
fn place(first: u32, local: u32, i: u32) -> u32 { return first - local * VECTORS + local + i * 64u; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  for (var i = 0u; i < VECTORS; i++) {
    let at = place(first, local, i);
    if (at < params.vectors) {
      y[at] = x[at];
    }
  }
}
