// Rung 0 of the reduction ladder: one invocation adds up everything. Right, and alone on a machine built for thousands: every
// addition waits for the one before it.

struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [1]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < params.size; i++) {
    sum += x[i];
  }
  y[0] = sum;
}
