// loss = sum(losses) / valid. One workgroup; every invocation sums every 64th row, then a tree: the order never changes. Rows of
// padding have loss 0.

struct Params {
  rows: u32,
  valid: u32,
}

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> scratch: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var row = local; row < params.rows; row += 64u) {
    sum += losses[row];
  }
  scratch[local] = sum;
  workgroupBarrier();
  for (var step = 32u; step > 0u; step /= 2u) {
    if (local < step) {
      scratch[local] += scratch[local + step];
    }
    workgroupBarrier();
  }
  if (local == 0u) {
    loss[0] = scratch[0] / f32(params.valid);
  }
}
