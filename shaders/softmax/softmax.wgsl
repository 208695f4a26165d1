// y = softmax(x) along one axis: exp(x - max) / sum exp(x - max), or its logarithm. A row is the `extent` values along the axis,
// `stride` elements apart. LANES invocations share a row: one where rows are short or interleaved, many where they are long.
// Three passes over a row: its maximum (taken out so that no exp overflows), its sum, its result.

const LANES: u32 = 1u; // a power of two, at most 64

struct Params {
  rows: u32,
  extent: u32, // values in a row
  stride: u32, // elements between neighbours in a row: the product of the axes behind it
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> scratch: array<f32, 64>;

// What is stored; the logarithm is `x - largest - log(total)`.
fn result(x: f32, largest: f32, total: f32) -> f32 { return exp(x - largest) / total; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let row = (workgroup.x + workgroup.y * workgroups.x) * (64u / LANES) + local / LANES;
  let lane = local % LANES;
  // Barriers need every invocation: those past the last row work on an empty one.
  let extent = select(0u, params.extent, row < params.rows);
  let first = row / params.stride * params.extent * params.stride + row % params.stride;

  // The lowest float: WGSL implementations may assume that infinities do not occur.
  var largest = -0x1.fffffep+127;
  for (var i = lane; i < extent; i += LANES) {
    largest = max(largest, x[first + i * params.stride]);
  }
  largest = row_max(local, largest);

  var total = 0.0;
  for (var i = lane; i < extent; i += LANES) {
    total += exp(x[first + i * params.stride] - largest);
  }
  total = row_sum(local, total);

  for (var i = lane; i < extent; i += LANES) {
    let at = first + i * params.stride;
    y[at] = result(x[at], largest, total);
  }
}

fn row_max(local: u32, value: f32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  scratch[local] = value;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    if (local % LANES < step) {
      scratch[local] = max(scratch[local], scratch[local + step]);
    }
    workgroupBarrier();
  }
  let reduced = scratch[local - local % LANES];
  workgroupBarrier();
  return reduced;
}

fn row_sum(local: u32, value: f32) -> f32 {
  if (LANES == 1u) {
    return value;
  }
  scratch[local] = value;
  workgroupBarrier();
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    if (local % LANES < step) {
      scratch[local] += scratch[local + step];
    }
    workgroupBarrier();
  }
  let reduced = scratch[local - local % LANES];
  workgroupBarrier();
  return reduced;
}
