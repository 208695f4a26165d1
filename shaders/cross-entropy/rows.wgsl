// Per row of logits [N,C]: the cross-entropy loss against its label, and whether the largest logit is the label's (the first of
// equal ones counts). With x' = x - max and logarithm L = log(sum exp(x')), the loss with smoothing e is
//   (1 - e) (L - x'[label]) + e (L - mean(x'))
// which is PyTorch's: q puts 1 - e on the label and spreads e over all classes. LANES invocations share a row.
// Rows from `valid` on are padding: loss 0, not correct. A label that is no class makes the loss NaN.

const LANES: u32 = 1u; // a power of two, at most 64

struct Params {
  rows: u32,
  classes: u32,
  valid: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> correct: array<u32>;
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
  // Barriers need every invocation: those without a row work on an empty one.
  let classes = select(0u, params.classes, row < params.valid);
  let first = row * params.classes;

  // The lowest float: WGSL implementations may assume that infinities do not occur.
  var largest = -0x1.fffffep+127;
  var winner = params.classes;
  for (var c = lane; c < classes; c += LANES) {
    let x = logits[first + c];
    // Equal to the start: some mask with the lowest float.
    if (x > largest || (x == largest && winner == params.classes)) {
      largest = x;
      winner = c;
    }
  }
  let lane_largest = largest;
  largest = row_max(local, largest);
  // The lowest class among the lanes that hold the maximum; floats count exactly up to 2^24.
  let candidate = select(params.classes, winner, lane_largest == largest);
  winner = u32(-row_max(local, -f32(candidate)));

  var total = 0.0;
  var sum = 0.0;
  for (var c = lane; c < classes; c += LANES) {
    let x = logits[first + c] - largest;
    total += exp(x);
    sum += x;
  }
  total = row_sum(local, total);
  sum = row_sum(local, sum);

  if (lane == 0u && row < params.rows) {
    var loss = 0.0;
    var hit = 0u;
    if (row < params.valid) {
      let label = labels[row];
      let x = logits[first + min(label, params.classes - 1u)] - largest;
      let log_total = log(total);
      loss = log_total - x;
      // Only where it counts: logits that mask a class make the sum infinite, and 0 times that would be NaN.
      if (params.smoothing > 0.0) {
        loss = (1.0 - params.smoothing) * loss + params.smoothing * (log_total - sum / f32(params.classes));
      }
      // The bits of a NaN, made where the compiler cannot see a constant.
      loss = select(bitcast<f32>(label | 0x7fc00000u), loss, label < params.classes);
      hit = select(0u, 1u, winner == label);
    }
    losses[row] = loss;
    correct[row] = hit;
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
