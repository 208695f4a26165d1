// accumulator += [sum of losses, correct rows, rows, rows whose loss is not finite], over the first `valid` rows of a batch. One
// workgroup; an invocation takes every 256th row, then a tree: the order never changes. The loss is the formula of rows.wgsl.
// The host reads the accumulator rarely (an epoch's worth at once) instead of waiting for the GPU at every step.

struct Params {
  classes: u32,
  valid: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> accumulator: array<vec4f>; // one
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> scratch: array<vec4f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = vec4f(0.0);
  for (var row = local; row < params.valid; row += 256u) {
    sum += metrics(row);
  }
  scratch[local] = sum;
  workgroupBarrier();
  for (var step = 128u; step > 0u; step /= 2u) {
    if (local < step) {
      scratch[local] += scratch[local + step];
    }
    workgroupBarrier();
  }
  if (local == 0u) {
    accumulator[0] += scratch[0];
  }
}

fn metrics(row: u32) -> vec4f {
  let first = row * params.classes;
  var largest = -0x1.fffffep+127;
  var winner = params.classes;
  for (var c = 0u; c < params.classes; c++) {
    let x = logits[first + c];
    // Equal to the start: some mask with the lowest float.
    if (x > largest || (x == largest && winner == params.classes)) {
      largest = x;
      winner = c;
    }
  }
  var total = 0.0;
  var sum = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    let x = logits[first + c] - largest;
    total += exp(x);
    sum += x;
  }
  let label = labels[row];
  let x = logits[first + min(label, params.classes - 1u)] - largest;
  let log_total = log(total);
  var loss = log_total - x;
  // Only where it counts: logits that mask a class make the sum infinite, and 0 times that would be NaN.
  if (params.smoothing > 0.0) {
    loss = (1.0 - params.smoothing) * loss + params.smoothing * (log_total - sum / f32(params.classes));
  }
  loss = select(bitcast<f32>(label | 0x7fc00000u), loss, label < params.classes);
  // By the exponent's bits: comparisons with NaN may be optimised away.
  let bad = (bitcast<u32>(loss) & 0x7f800000u) == 0x7f800000u;
  return vec4f(loss, select(0.0, 1.0, winner == label), 1.0, select(0.0, 1.0, bad));
}
