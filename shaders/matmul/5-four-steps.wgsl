// Rung 5 of the matmul ladder, for software GPUs: four steps of k at a time. With a stored row by row, the vec4 that a lane loads
// holds one row's next four k, and four vec4s of b hold the same k of its columns. All eight loads stand before the first
// multiply-add. M and N must be multiples of LANES * 4, K of 4.

enable subgroups;

const LANES: u32 = 8u; // of a subgroup: 4 or 8

struct Params {
  rows: u32,    // M
  columns: u32, // N / 4
  depth: u32,   // K / 4
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>; // [M, K]
@group(0) @binding(1) var<storage, read> b: array<vec4f>; // [K, N]
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> params: Params;

alias Rows = array<vec4f, 8>;

// Four steps of k for the rows whose vec4s the lanes hold.
fn accumulate(rows: ptr<function, Rows>, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
  (*rows)[0] += subgroupBroadcast(a.x, 0u) * b0 + subgroupBroadcast(a.y, 0u) * b1 + subgroupBroadcast(a.z, 0u) * b2 + subgroupBroadcast(a.w, 0u) * b3;
  (*rows)[1] += subgroupBroadcast(a.x, 1u) * b0 + subgroupBroadcast(a.y, 1u) * b1 + subgroupBroadcast(a.z, 1u) * b2 + subgroupBroadcast(a.w, 1u) * b3;
  (*rows)[2] += subgroupBroadcast(a.x, 2u) * b0 + subgroupBroadcast(a.y, 2u) * b1 + subgroupBroadcast(a.z, 2u) * b2 + subgroupBroadcast(a.w, 2u) * b3;
  (*rows)[3] += subgroupBroadcast(a.x, 3u) * b0 + subgroupBroadcast(a.y, 3u) * b1 + subgroupBroadcast(a.z, 3u) * b2 + subgroupBroadcast(a.w, 3u) * b3;
  if (LANES == 8u) {
    (*rows)[4] += subgroupBroadcast(a.x, 4u) * b0 + subgroupBroadcast(a.y, 4u) * b1 + subgroupBroadcast(a.z, 4u) * b2 + subgroupBroadcast(a.w, 4u) * b3;
    (*rows)[5] += subgroupBroadcast(a.x, 5u) * b0 + subgroupBroadcast(a.y, 5u) * b1 + subgroupBroadcast(a.z, 5u) * b2 + subgroupBroadcast(a.w, 5u) * b3;
    (*rows)[6] += subgroupBroadcast(a.x, 6u) * b0 + subgroupBroadcast(a.y, 6u) * b1 + subgroupBroadcast(a.z, 6u) * b2 + subgroupBroadcast(a.w, 6u) * b3;
    (*rows)[7] += subgroupBroadcast(a.x, 7u) * b0 + subgroupBroadcast(a.y, 7u) * b1 + subgroupBroadcast(a.z, 7u) * b2 + subgroupBroadcast(a.w, 7u) * b3;
  }
}

fn store(rows: ptr<function, Rows>, first: u32) {
  y[first] = (*rows)[0];
  y[first + params.columns] = (*rows)[1];
  y[first + 2u * params.columns] = (*rows)[2];
  y[first + 3u * params.columns] = (*rows)[3];
  if (LANES == 8u) {
    y[first + 4u * params.columns] = (*rows)[4];
    y[first + 5u * params.columns] = (*rows)[5];
    y[first + 6u * params.columns] = (*rows)[6];
    y[first + 7u * params.columns] = (*rows)[7];
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let tile = workgroup.x + workgroup.y * workgroups.x;
  let row = tile / (params.columns / LANES) * LANES * 4u;
  let column = tile % (params.columns / LANES) * LANES + lane;
  if (row >= params.rows) { return; }
  // Rows lane, lane + LANES, ...: each accumulate() spreads LANES of them.
  let own = (row + lane) * params.depth;
  let step = LANES * params.depth;
  var rows_0: Rows; var rows_1: Rows; var rows_2: Rows; var rows_3: Rows;
  for (var k = 0u; k < params.depth; k++) {
    let b_at = k * 4u * params.columns + column;
    let b0 = b[b_at];
    let b1 = b[b_at + params.columns];
    let b2 = b[b_at + 2u * params.columns];
    let b3 = b[b_at + 3u * params.columns];
    let a0 = a[own + k];
    let a1 = a[own + k + step];
    let a2 = a[own + k + 2u * step];
    let a3 = a[own + k + 3u * step];
    accumulate(&rows_0, a0, b0, b1, b2, b3);
    accumulate(&rows_1, a1, b0, b1, b2, b3);
    accumulate(&rows_2, a2, b0, b1, b2, b3);
    accumulate(&rows_3, a3, b0, b1, b2, b3);
  }
  let first = row * params.columns + column;
  store(&rows_0, first);
  store(&rows_1, first + LANES * params.columns);
  store(&rows_2, first + 2u * LANES * params.columns);
  store(&rows_3, first + 3u * LANES * params.columns);
}
