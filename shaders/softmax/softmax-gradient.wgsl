// The gradient of softmax along one axis: dx = y (dy - sum(y dy)); of its logarithm: dx = dy - exp(y) sum(dy). Rows and lanes as
// in softmax.wgsl; two passes over a row.

const LANES: u32 = 1u; // a power of two, at most 64

struct Params {
  rows: u32,
  extent: u32, // values in a row
  stride: u32, // elements between neighbours in a row
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> scratch: array<f32, 64>;

fn summand(y: f32, dy: f32) -> f32 { return y * dy; }
fn result(y: f32, dy: f32, total: f32) -> f32 { return y * (dy - total); }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let row = (workgroup.x + workgroup.y * workgroups.x) * (64u / LANES) + local / LANES;
  let lane = local % LANES;
  let extent = select(0u, params.extent, row < params.rows);
  let first = row / params.stride * params.extent * params.stride + row % params.stride;

  var total = 0.0;
  for (var i = lane; i < extent; i += LANES) {
    let at = first + i * params.stride;
    total += summand(y[at], dy[at]);
  }
  total = row_sum(local, total);

  for (var i = lane; i < extent; i += LANES) {
    let at = first + i * params.stride;
    dx[at] = result(y[at], dy[at], total);
  }
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
