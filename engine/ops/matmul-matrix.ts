// Matrix products in tensor cores: f16 operands, f32 sums.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { ceilDiv, check, showShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";

/** Rows and columns of the result that a workgroup computes: 64 x 64, 64 x 128, 128 x 64, 128 x 128 or 256 x 64. */
export type MatrixTile = readonly [rows: number, columns: number];

/** Those for so many columns of the result. */
export const matrixTiles = (columns: number): readonly MatrixTile[] =>
  columns > 64 ? [[128, 128], [128, 64], [64, 128], [64, 64]] : [[256, 64], [128, 64], [64, 64]]; // prettier-ignore

/** The largest tile that leaves enough workgroups: larger ones load less per multiply-add. */
export function chooseMatrixTile(rows: number, columns: number): MatrixTile {
  const tiles: MatrixTile[] = columns > 64 ? [[128, 128], [128, 64]] : [[256, 64], [128, 64]]; // prettier-ignore
  return tiles.find((tile) => ceilDiv(rows, tile[0]) * ceilDiv(columns, tile[1]) >= ENOUGH_WORKGROUPS) ?? [64, 64];
}

/** Of the longest rows of sums, and of the largest tile, 256 x 64: what the adapter must have in workgroup memory. */
const SUM_STRIDE = 9;
export const MATRIX_TILE_BYTES = 16 * (256 * 5 + 32 * 9);

/** The constants that the kernels of subgroup matrices share. */
export function matrixConstants(tile: MatrixTile) {
  const { N, K } = currentDevice().matrix ?? { N: 16, K: 16 };
  return { TILE_ROWS: tile[0], TILE_COLUMNS: tile[1], MATRIX_COLUMNS: N, MATRIX_DEPTH: K, SUM_STRIDE };
}

/** a [M,K] times b [K,N] = f32 [M,N], of f16; N and K are multiples of 8. Without gradients. */
export function matmulMatrix(a: Tensor, b: Tensor, tile?: MatrixTile): Tensor {
  const [M, K] = a.shape as [number, number];
  const N = b.shape[1];
  const fits = a.dtype === "f16" && b.dtype === "f16" && b.shape[0] === K && N % 8 === 0 && K % 8 === 0;
  check(
    fits,
    "matmulMatrix",
    () => `needs f16 [M,K] and [K,N], N and K multiples of 8; got ${a.toString()} and ${showShape(b.shape)}`,
  );
  const [rows, columns] = tile ?? chooseMatrixTile(M, N);
  const y = empty([M, N]);
  launch(kernels.matmul.matrix, {
    bindings: { a, b, y },
    constants: { ...matrixConstants([rows, columns]), ROWS: M, COLUMNS: N, DEPTH: K },
    workgroups: ceilDiv(M, rows) * ceilDiv(N, columns),
    flops: 2 * M * N * K,
  });
  return y;
}
