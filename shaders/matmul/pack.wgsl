// Copies a batch of matrices into the layout that the matmul kernels read: row-major [batch, rows, vectors * 4], rows padded with
// zeros to whole vec4s. Strides say where element (row, column) of matrix `b` lies, so this also transposes and broadcasts. An
// invocation copies one vec4 of 8 neighbouring rows: when it transposes, those lie side by side in x and share cache lines.

const ROWS: u32 = 8u; // per invocation

struct Params {
  rows: u32,
  columns: u32,
  vectors: u32,       // vec4s in a packed row
  blocks: u32,        // of ROWS rows in a matrix
  total: u32,         // invocations in all
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
  let vector = at % params.vectors;
  let first_row = at / params.vectors % params.blocks * ROWS;
  let b = at / params.vectors / params.blocks;

  let index = vec4u(
    b / (params.batch.y * params.batch.z * params.batch.w),
    b / (params.batch.z * params.batch.w) % params.batch.y,
    b / params.batch.w % params.batch.z,
    b % params.batch.w,
  );
  let offsets = index * params.batch_strides;
  let matrix = offsets.x + offsets.y + offsets.z + offsets.w;
  for (var row = first_row; row < min(first_row + ROWS, params.rows); row++) {
    packed[(b * params.rows + row) * params.vectors + vector] = vec4f(
      element(matrix, row, vector * 4u),
      element(matrix, row, vector * 4u + 1u),
      element(matrix, row, vector * 4u + 2u),
      element(matrix, row, vector * 4u + 3u),
    );
  }
}

fn element(matrix: u32, row: u32, column: u32) -> f32 {
  if (column >= params.columns) {
    return 0.0;
  }
  return x[matrix + row * params.row_stride + column * params.column_stride];
}
