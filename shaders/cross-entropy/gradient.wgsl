// dlogits = (softmax(logits) - q) dy / valid, where q is the smoothed one-hot label: 1 - e + e / C for the label, e / C for the
// others; zero for rows of padding. The softmax is computed again: reading a row twice costs less than storing it.

const LANES: u32 = 1u; // a power of two, at most 64

struct Params {
  rows: u32,
  classes: u32,
  valid: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>; // one value
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> scratch: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let row = (workgroup.x + workgroup.y * workgroups.x) * (64u / LANES) + local / LANES;
  let lane = local % LANES;
  let classes = select(0u, params.classes, row < params.rows);
  let first = row * params.classes;

  var largest = -0x1.fffffep+127;
  for (var c = lane; c < classes; c += LANES) {
    largest = max(largest, logits[first + c]);
  }
  largest = row_max(local, largest);

  var total = 0.0;
  for (var c = lane; c < classes; c += LANES) {
    total += exp(logits[first + c] - largest);
  }
  total = row_sum(local, total);

  let scale = dy[0] / f32(params.valid);
  let label = labels[min(row, params.rows - 1u)];
  for (var c = lane; c < classes; c += LANES) {
    let q = params.smoothing / f32(params.classes) + select(0.0, 1.0 - params.smoothing, c == label);
    let gradient = (exp(logits[first + c] - largest) / total - q) * scale;
    dlogits[first + c] = select(0.0, gradient, row < params.valid);
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
