// Rung 3 of the matmul ladder, for real GPUs: a workgroup of 64 invocations computes 32 x 32 values. For 16 steps of k at a time
// it copies its strips of a and b into workgroup memory, from where each number is read by 8 invocations: far memory sees an
// eighth of the loads. The barriers keep the copy and its readers apart. M and N must be multiples of 32, K of 16.

struct Params {
  rows: u32,    // M / 4
  columns: u32, // N / 4
  depth: u32,   // K
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [K, M]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> a_strip: array<vec4f, 128>; // [16 steps of k][8 vec4s]
var<workgroup> b_strip: array<vec4f, 128>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let first_row = tile / (params.columns / 8u) * 8u;
  let first_column = tile % (params.columns / 8u) * 8u;
  if (first_row >= params.rows) { return; }
  let down = local / 8u;
  let across = local % 8u;
  var sum_0 = vec4f();
  var sum_1 = vec4f();
  var sum_2 = vec4f();
  var sum_3 = vec4f();
  for (var strip = 0u; strip < params.depth; strip += 16u) {
    for (var i = local; i < 128u; i += 64u) {
      a_strip[i] = a[(strip + i / 8u) * params.rows + first_row + i % 8u];
      b_strip[i] = b[(strip + i / 8u) * params.columns + first_column + i % 8u];
    }
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let a_values = a_strip[k * 8u + down];
      let b_values = b_strip[k * 8u + across];
      sum_0 += a_values.x * b_values;
      sum_1 += a_values.y * b_values;
      sum_2 += a_values.z * b_values;
      sum_3 += a_values.w * b_values;
    }
    workgroupBarrier(); // nobody overwrites a strip that others still read
  }
  let first = (first_row + down) * 4u * params.columns + first_column + across;
  y[first] = sum_0;
  y[first + params.columns] = sum_1;
  y[first + 2u * params.columns] = sum_2;
  y[first + 3u * params.columns] = sum_3;
}
