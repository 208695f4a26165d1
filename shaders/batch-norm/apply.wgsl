// y = (x - mean) * scale + shift, then + add and relu where asked for: one pass over x instead of three.
// What is asked for stands in Params on software GPUs: a branch that all invocations take alike costs nothing there, another pipeline a
// compile. Real GPUs wait for all loads before a branch, so the engine puts true or false in place of the functions that read Params.
// One invocation computes 4 columns of 8 rows, so that what belongs to the columns is loaded once for all of them (twice as
// fast as once an element). Reads 4 or 8 bytes an element, writes 4; half of that in f16.

const ROWS: u32 = 8u;
const TURN: u32 = 1u; // rows a turn: a real GPU loads 8 of them ahead of waiting for the first. Past the end they are the last row again.
alias Vector = vec4f; // f32 where C is not a multiple of 4
alias Stored = Vector; // vec2u where x is f16
fn unpack(v: Stored) -> Vector { return v; }
fn pack(v: Vector) -> Stored { return v; }
fn adds() -> bool { return params.adds == 1u; }
fn relu() -> bool { return params.relu == 1u; }

struct Params {
  rows: u32,
  columns: u32, // Vectors in a row
  adds: u32, // 1: add `add`
  relu: u32, // 1: negative values become 0
}

@group(0) @binding(0) var<storage, read> x: array<Stored>;
@group(0) @binding(1) var<storage, read> add: array<Stored>;
@group(0) @binding(2) var<storage, read> affine: array<Vector>; // [4, C]: see statistics.wgsl
@group(0) @binding(3) var<storage, read_write> y: array<Stored>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let i = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  let column = i % params.columns;
  let first = (i / params.columns) * ROWS;
  let mean = affine[column];
  let scale = affine[2u * params.columns + column];
  let shift = affine[3u * params.columns + column];
  for (var row = first; row < min(first + ROWS, params.rows); row += TURN) {
    for (var r = 0u; r < TURN; r++) {
      let at = min(row + r, params.rows - 1u) * params.columns + column;
      var value = (unpack(x[at]) - mean) * scale + shift;
      if (adds()) { value += unpack(add[at]); }
      // Not max(): that makes 0 of NaN on some drivers, and a net that has diverged would look alive.
      if (relu()) { value = select(value, Vector(0.0), value < Vector(0.0)); }
      y[at] = pack(value);
    }
  }
}
