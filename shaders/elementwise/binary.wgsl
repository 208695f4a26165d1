// y = f(a, b), element by element, with broadcasting. `apply` is replaced by the op's formula, `load_a` and `load_b` by how an
// operand is read for element i of y:
//   unpack(a[i])               it has y's shape
//   a[i % params.a_period]     it is repeated along leading axes (a bias)
//   T(a[0].x)                  it is one number
//   a[at.x]                    anything else, with STRIDED (for b: at.y)
// T is vec4f where rows allow it, and then sizes and strides count vec4s. Where all are f16 of one shape, a Stored is four of them.

alias T = vec4f;
alias Bits = vec4u; // as many as T has
alias Truth = vec4<bool>;
alias Stored = T;
fn unpack(v: Stored) -> T { return v; }
fn pack(v: T) -> Stored { return v; }
const ELEMENTS: u32 = 4u;
const STRIDED: bool = false;

struct Params {
  size: u32,     // elements of y
  rank: u32,     // used entries of axes
  a_period: u32, // elements of a repeated operand
  b_period: u32,
  axes: array<vec4u, 8>, // of y, outermost first, neighbours merged: extent, a's stride, b's stride (0 where stretched)
}

@group(0) @binding(0) var<storage, read> a: array<Stored>;
@group(0) @binding(1) var<storage, read> b: array<Stored>;
@group(0) @binding(2) var<storage, read_write> y: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

fn apply(a: T, b: T) -> T { return a + b; }
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
      y[i] = pack(apply(load_a(i, at), load_b(i, at)));
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

// Of NaN and a number NaN, as PyTorch: WGSL's max() and min() may give the number, and a net that has diverged would look alive. By
// the bits, since comparisons with NaN may be optimised away.
fn larger(a: T, b: T) -> T { return select(select(a, b, a < b), a + b, with_nan(a, b)); }
fn smaller(a: T, b: T) -> T { return select(select(a, b, b < a), a + b, with_nan(a, b)); }
fn with_nan(a: T, b: T) -> Truth {
  return max(bitcast<Bits>(a) & Bits(0x7fffffffu), bitcast<Bits>(b) & Bits(0x7fffffffu)) > Bits(0x7f800000u);
}
