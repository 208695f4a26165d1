// Transposes each tap's matrix of weights, [taps, C, K] -> [taps, K, C], for the input gradient. C and K are multiples of 4: one
// invocation turns a block of 4 x 4, so that it loads and stores whole vec4s.

alias Stored = vec4f; // vec2u where the result is f16
fn pack(v: vec4f) -> Stored { return v; }

struct Params {
  taps: u32,
  rows: u32,    // C
  columns: u32, // K
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> turned: array<Stored>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let blocks = vec2u(params.rows / 4u, params.columns / 4u);
  let column = i % blocks.y;
  let row = (i / blocks.y) % blocks.x;
  let tap = i / (blocks.x * blocks.y);
  if (tap >= params.taps) { return; }
  let source = (tap * params.rows + row * 4u) * blocks.y + column;
  let block = transpose(mat4x4f(weight[source], weight[source + blocks.y], weight[source + 2u * blocks.y], weight[source + 3u * blocks.y]));
  let target_at = (tap * params.columns + column * 4u) * blocks.x + row;
  turned[target_at] = pack(block[0]);
  turned[target_at + blocks.x] = pack(block[1]);
  turned[target_at + 2u * blocks.x] = pack(block[2]);
  turned[target_at + 3u * blocks.x] = pack(block[3]);
}
