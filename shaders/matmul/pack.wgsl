// Copies a batch of matrices into the layout that the matmul kernels read: row-major [batch, rows, vectors * 4], rows padded with
// zeros to whole vec4s. Strides say where element (row, column) of matrix `b` lies, so this also transposes and broadcasts.

struct Params {
  rows: u32,
  columns: u32,
  vectors: u32,       // vec4s in a packed row
  total: u32,         // vec4s in all
  row_stride: u32,
  column_stride: u32,
  batch: vec4u,         // extents of the batch axes
  batch_strides: vec4u, // in elements, 0 where the operand is broadcast
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let at = (workgroup.x + workgroup.y * workgroups.x) * 64u + local;
  if (at >= params.total) {
    return;
  }
  let column = at % params.vectors * 4u;
  let row = at / params.vectors % params.rows;
  let b = at / params.vectors / params.rows;

  let index = vec4u(
    b / (params.batch.y * params.batch.z * params.batch.w),
    b / (params.batch.z * params.batch.w) % params.batch.y,
    b / params.batch.w % params.batch.z,
    b % params.batch.w,
  );
  let offsets = index * params.batch_strides;
  let first = offsets.x + offsets.y + offsets.z + offsets.w + row * params.row_stride + column * params.column_stride;
  var value = vec4f(0.0);
  for (var i = 0u; i < 4u; i++) {
    if (column + i < params.columns) {
      value[i] = x[first + i * params.column_stride];
    }
  }
  packed[at] = value;
}
