// One operand's gradient of y = f(a, b), in y's shape: `gradient` is replaced by the op's formula. Where the operand was
// stretched, the caller sums the result. For `load_a`, `load_b` and T see binary.wgsl.

alias T = vec4f;
const ELEMENTS: u32 = 4u;

struct Params {
  size: u32,     // elements of y
  rank: u32,     // used entries of shape
  a_period: u32, // elements of a repeated operand
  b_period: u32,
  shape: array<vec4u, 2>,   // extents of y, outermost first, neighbouring axes merged
  strides: array<vec4u, 4>, // a's (first two), then b's; 0 along stretched axes
}

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read> y: array<T>;
@group(0) @binding(3) var<storage, read> dy: array<T>;
@group(0) @binding(4) var<storage, read_write> dx: array<T>;
@group(0) @binding(5) var<uniform> params: Params;

fn gradient(a: T, b: T, y: T, dy: T) -> T { return dy * b; }
fn load_a(i: u32) -> T { return a[i]; }
fn load_b(i: u32) -> T { return b[i]; }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * ELEMENTS;
  for (var e = 0u; e < ELEMENTS; e++) {
    let i = first + e;
    if (i < params.size) {
      dx[i] = gradient(load_a(i), load_b(i), y[i], dy[i]);
    }
  }
}

// Where element i of y lies in operand `which`.
fn strided(i: u32, which: u32) -> u32 {
  var rest = i;
  var offset = 0u;
  for (var n = params.rank; n > 0u; n--) {
    let axis = n - 1u;
    let extent = params.shape[axis / 4u][axis % 4u];
    offset += (rest % extent) * params.strides[which * 2u + axis / 4u][axis % 4u];
    rest /= extent;
  }
  return offset;
}

// a to the power of b, also for negative a with a whole b (WGSL's pow is undefined there) and for b = 0.
fn power(a: T, b: T) -> T {
  let size = pow(select(a, abs(a), b == floor(b)), b);
  let odd = fract(0.5 * b) == T(0.5);
  return select(select(size, -size, (a < T(0.0)) & odd), T(1.0), b == T(0.0));
}
