// Whether scaled gradients overflowed, first pass: found[i] = 1 where workgroup i saw an infinity or NaN. By the bits of the exponent:
// compilers may assume that numbers are finite, and drop comparisons that are made to find out.

const UNTOUCHED: u32 = 255u; // padding and frozen parameters

struct Params {
  vectors: u32, // vec4s in gradients, a multiple of 16
}

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> seen: array<u32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  const EXPONENT = vec4u(0x7f800000u);
  var own = 0u;
  for (var at = workgroup.x * 64u + local; at < params.vectors; at += workgroups.x * 64u) {
    let overflowed = any((gradients[at] & EXPONENT) == EXPONENT);
    own |= select(0u, 1u, overflowed && blocks[at / 16u] != UNTOUCHED);
  }
  seen[local] = own;
  workgroupBarrier();
  if (local == 0u) {
    for (var i = 1u; i < 64u; i++) { own |= seen[i]; }
    found[workgroup.x] = own;
  }
}
