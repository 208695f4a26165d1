// Second pass of the gradient norm, one workgroup: result = (norm, clipping coefficient). The coefficient is PyTorch's:
// min(1, max_norm / (norm + 1e-6)); where the norm is NaN it is NaN too.

var<workgroup> sums: array<f32, 64>;

struct Params {
  count: u32, // partial sums
  max_norm: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var at = local; at < params.count; at += 64u) {
    sum += partials[at];
  }
  sums[local] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
    }
  }
  if (local == 0u) {
    let norm = sqrt(sums[0]);
    result[0] = norm;
    let coefficient = params.max_norm / (norm + 1e-6);
    // Not min(): that makes 1 of NaN on some drivers.
    result[1] = select(coefficient, 1.0, coefficient > 1.0);
  }
}
