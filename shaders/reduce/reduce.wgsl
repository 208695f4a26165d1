// One pass of a reduction: x [outer, reduced, inner] -> y [outer, splits, inner]. Split s combines the elements s, s + splits,
// s + 2 splits, ... of the reduced axis, so neighbouring invocations read neighbouring addresses whether `inner` is 1 (a row
// sum) or not (a column sum), and the order of the additions never depends on timing. Passes repeat until splits is 1.

alias T = vec4f;
alias Bits = vec4u; // as many as T has
alias Truth = vec4<bool>;

struct Params {
  size: u32, // elements of y
  reduced: u32,
  inner: u32,
  splits: u32,
  factor: f32, // multiplies the result: 1 / n for a mean
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

fn combine(a: T, b: T) -> T { return a + b; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.size) {
    return;
  }
  let i = at % params.inner;
  let split = (at / params.inner) % params.splits;
  let outer = at / (params.inner * params.splits);
  let row = outer * params.reduced * params.inner + i;
  // The first element is the start: a neutral element would need infinities for max and min.
  var total = x[row + split * params.inner];
  for (var r = split + params.splits; r < params.reduced; r += params.splits) {
    total = combine(total, x[row + r * params.inner]);
  }
  y[at] = params.factor * total;
}

// Of NaN and a number NaN, as PyTorch: WGSL's max() and min() may give the number, and a net that has diverged would look alive. By
// the bits, since comparisons with NaN may be optimised away.
fn larger(a: T, b: T) -> T { return select(select(a, b, a < b), a + b, with_nan(a, b)); }
fn smaller(a: T, b: T) -> T { return select(select(a, b, b < a), a + b, with_nan(a, b)); }
fn with_nan(a: T, b: T) -> Truth {
  return max(bitcast<Bits>(a) & Bits(0x7fffffffu), bitcast<Bits>(b) & Bits(0x7fffffffu)) > Bits(0x7f800000u);
}
