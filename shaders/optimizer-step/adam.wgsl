// Adam and AdamW, PyTorch's form (epsilon outside the bias-corrected root):
//   w *= shrink;  d = g + decay * w;  m = beta1 m + (1 - beta1) d;  v = beta2 v + (1 - beta2) d^2;
//   w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// Adam has shrink = 1, AdamW decay = 0. What depends on t is computed in double precision on the host: 1 - 0.999^t loses most
// of its digits in f32. It counts all steps: where loss scaling has skipped some, the corrections are put right here. One invocation updates
// a quarter of a 64-float block.

const VECTORS: u32 = 4u;
const UNTOUCHED: u32 = 255u; // padding and frozen parameters

struct Params {
  groups: array<vec4f, 8>, // of each parameter group: lr / (1 - beta1^t), decay, shrink
  vectors: u32,            // vec4s in weights, a multiple of 16
  beta1: f32,
  fresh1: f32,             // 1 - beta1
  beta2: f32,
  fresh2: f32,             // 1 - beta2
  correction: f32,         // 1 / sqrt(1 - beta2^t)
  epsilon: f32,
  step: f32,               // t, with the steps that were skipped
  log_beta1: f32,
  log_beta2: f32,
}

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read> skips: array<u32>;
@group(0) @binding(2) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moments: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;

// 1 - beta^t, by the series of exp where the difference would cancel.
fn decayed(t: f32, log_beta: f32) -> f32 {
  let z = t * log_beta;
  let series = -z * (1.0 + z / 2.0 * (1.0 + z / 3.0 * (1.0 + z / 4.0 * (1.0 + z / 5.0 * (1.0 + z / 6.0)))));
  return select(series, 1.0 - exp(z), z < -0.25);
}

// (1 - beta^t) with all steps over the same without those that were skipped.
fn recount(log_beta: f32) -> f32 {
  return decayed(params.step, log_beta) / decayed(params.step - f32(skips[0]), log_beta);
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * VECTORS;
  if (first >= params.vectors) {
    return;
  }
  let group = blocks[first / 16u];
  if (group == UNTOUCHED) {
    return;
  }
  var rate = params.groups[group].x;
  var correction = params.correction;
  if (skips[0] > 0u) {
    rate *= recount(params.log_beta1);
    correction *= sqrt(recount(params.log_beta2));
  }
  let decay = params.groups[group].y;
  let shrink = params.groups[group].z;
  for (var i = 0u; i < VECTORS; i++) {
    let at = first + i;
    let w = shrink * weights[at];
    let d = gradients[at] + decay * w;
    let m = params.beta1 * first_moments[at] + params.fresh1 * d;
    let v = params.beta2 * second_moments[at] + params.fresh2 * d * d;
    first_moments[at] = m;
    second_moments[at] = v;
    weights[at] = w - rate * m / (sqrt(v) * correction + params.epsilon);
  }
}
