// One operand's gradient of y = f(a, b), in y's shape: `gradient` is replaced by the op's formula. Where the operand was
// stretched, the caller sums the result. For `load_a`, `load_b`, STRIDED and T see binary.wgsl.

alias T = vec4f;
const ELEMENTS: u32 = 4u;
const STRIDED: bool = false;

struct Params {
  size: u32,     // elements of y
  rank: u32,     // used entries of axes
  a_period: u32, // elements of a repeated operand
  b_period: u32,
  axes: array<vec4u, 8>, // of y, outermost first, neighbours merged: extent, a's stride, b's stride (0 where stretched)
}

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read> y: array<T>;
@group(0) @binding(3) var<storage, read> dy: array<T>;
@group(0) @binding(4) var<storage, read_write> dx: array<T>;
@group(0) @binding(5) var<uniform> params: Params;

fn gradient(a: T, b: T, y: T, dy: T) -> T { return dy * b; }
fn unpack(v: T) -> T { return v; } // these operands are f32
fn load_a(i: u32, at: vec2u) -> T { return unpack(a[i]); }
fn load_b(i: u32, at: vec2u) -> T { return unpack(b[i]); }

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let first = ((workgroup.x + workgroup.y * workgroups.x) * 64u + local) * ELEMENTS;
  var at = vec2u();
  var column = 0u;
  let last = params.axes[max(params.rank, 1u) - 1u];
  if (STRIDED) {
    at = place(first);
    column = first % last.x;
  }
  for (var e = 0u; e < ELEMENTS; e++) {
    let i = first + e;
    if (i < params.size) {
      dx[i] = gradient(load_a(i, at), load_b(i, at), y[i], dy[i]);
    }
    if (STRIDED) {
      // Divisions are slow: within a row the next element is one stride on.
      column++;
      at += last.yz;
      if (column == last.x) {
        at = place(i + 1u);
        column = 0u;
      }
    }
  }
}

// Where element i of y lies in a and b.
fn place(i: u32) -> vec2u {
  var rest = i;
  var at = vec2u();
  for (var n = params.rank; n > 0u; n--) {
    let axis = params.axes[n - 1u];
    let above = rest / axis.x;
    at += (rest - above * axis.x) * axis.yz;
    rest = above;
  }
  return at;
}

// a to the power of b, also where WGSL's pow is undefined: for negative a with a whole b, for a = 0 with a negative b, and for b = 0.
fn power(a: T, b: T) -> T {
  let size = select(pow(select(a, abs(a), b == floor(b)), b), T(1.0) / (a * a), (a == T(0.0)) & (b < T(0.0)));
  let odd = fract(0.5 * b) == T(0.5);
  return select(select(size, -size, (a < T(0.0)) & odd), T(1.0), b == T(0.0));
}
