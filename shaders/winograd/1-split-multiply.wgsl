// Rung 1 of the Winograd ladder, third kernel: for each of the 16 planes the matrix product m = V U, [tiles, C] times [C, K]. An
// invocation computes 4 x 4 numbers, as in rung 2 of the convolution ladder: eight loads for sixty-four multiply-adds.

struct Params {
  rows: u32,    // tiles, a multiple of 4
  columns: u32, // K / 4
  depth: u32,   // C / 4
}

@group(0) @binding(0) var<storage, read> v: array<vec4f>; // [16, tiles, C]
@group(0) @binding(1) var<storage, read> u: array<vec4f>; // [16, C, K]
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>; // [16, tiles, K]
@group(0) @binding(3) var<uniform> params: Params;

fn product(a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f { return a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = at % params.columns;
  let row = at / params.columns * 4u; // of all planes behind one another
  if (row >= 16u * params.rows) { return; }
  let u_first = row / params.rows * params.depth * 4u * params.columns + column;
  let v_first = row * params.depth;
  var sum_0 = vec4f();
  var sum_1 = vec4f();
  var sum_2 = vec4f();
  var sum_3 = vec4f();
  for (var c = 0u; c < params.depth; c++) {
    let u_at = u_first + c * 4u * params.columns;
    let b0 = u[u_at];
    let b1 = u[u_at + params.columns];
    let b2 = u[u_at + 2u * params.columns];
    let b3 = u[u_at + 3u * params.columns];
    sum_0 += product(v[v_first + c], b0, b1, b2, b3);
    sum_1 += product(v[v_first + params.depth + c], b0, b1, b2, b3);
    sum_2 += product(v[v_first + 2u * params.depth + c], b0, b1, b2, b3);
    sum_3 += product(v[v_first + 3u * params.depth + c], b0, b1, b2, b3);
  }
  let first = row * params.columns + column;
  m[first] = sum_0;
  m[first + params.columns] = sum_1;
  m[first + 2u * params.columns] = sum_2;
  m[first + 3u * params.columns] = sum_3;
}
