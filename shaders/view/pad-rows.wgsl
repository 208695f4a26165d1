// Rows with a value behind them: y [rows, wide] of x [rows, narrow], where `wide` is a multiple of 4. What pads the end of one axis: its
// row holds the axes inside of it too. An invocation writes four elements; they are moved as bits.

alias Four = vec4u; // vec2u where elements are halves of a word
fn element(i: u32) -> u32 { return x[i]; }
fn pack(v: vec4u) -> Four { return v; }

struct Params {
  fours: u32,  // of y
  narrow: u32, // elements in a row of x
  wide: u32,   // fours in a row of y
  bits: u32,   // of the value
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<Four>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let four = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (four >= params.fours) { return; }
  let row = four / params.wide;
  let column = (four - row * params.wide) * 4u;
  let first = row * params.narrow + column;
  var v = vec4u(params.bits);
  if (column < params.narrow) { v.x = element(first); }
  if (column + 1u < params.narrow) { v.y = element(first + 1u); }
  if (column + 2u < params.narrow) { v.z = element(first + 2u); }
  if (column + 3u < params.narrow) { v.w = element(first + 3u); }
  y[four] = pack(v);
}
