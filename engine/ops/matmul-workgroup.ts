// Launches matrix products' kernel for real GPUs: tiles in workgroup memory, shapes compiled in.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { sumSplits } from "./conv2d-geometry.ts";
import { splitSum } from "./conv2d-workgroup.ts";

export interface Size {
  batches: number;
  M: number;
  N: number;
  K: number;
}

/** A tensor [batch, K, X padded to 4], and the vec4s from one matrix of the batch to the next (0: all use the same). */
export interface Operand {
  tensor: Tensor;
  batchStride: number;
}

/** Rows and columns of y that a workgroup computes. */
const TILES = { "128x128": [128, 128], "128x64": [128, 64], "64x64": [64, 64] } as const;
type TileName = keyof typeof TILES;

/** Those for that many columns, largest first. */
const tileNames = (N: number): TileName[] => (N > 64 ? ["128x128", "128x64", "64x64"] : ["128x64", "64x64"]);

const tilesOf = ({ batches, M, N }: Omit<Size, "K">, tile: TileName): number =>
  batches * ceilDiv(M, TILES[tile][0]) * ceilDiv(N, TILES[tile][1]);

/** The largest tile that leaves enough workgroups: larger ones load less per multiply-add. */
export const chooseMatmulTile = (size: Omit<Size, "K">): TileName =>
  tileNames(size.N).find((name) => tilesOf(size, name) >= ENOUGH_WORKGROUPS) ?? "64x64";

/** Steps of a sum from which workgroups share it where they are few. Below, adding their parts would take what it spares. */
const WORTH_SPLITS = 512;

/**
 * How many splits the sum has. Few tiles occupy few of a GPU's processors, and all the others wait for their steps, one after the other.
 * Splits are of equal length, as to the kernel they are matrices of a batch: a depth that is a prime has none.
 */
export function matmulSplits(size: Size, tile: TileName): number {
  const tiles = tilesOf(size, tile);
  if (size.batches > 1 || size.K < WORTH_SPLITS || tiles >= ENOUGH_WORKGROUPS / 2) return 1;
  let { splits } = splitSum(size.K, tiles, TILES[tile]);
  while (size.K % splits !== 0) splits--;
  return splits;
}

/** Writes y [batches, M, N]. */
export function matmulWorkgroup(a: Operand, b: Operand, y: Tensor, size: Size): void {
  const { batches, M, N, K } = size;
  const strides = [a.batchStride, b.batchStride];
  const tile = currentDevice().choices.choose<TileName>({
    op: "matmul",
    shape: `${batches}x${M}x${K}x${N}`,
    variants: tileNames(N),
    fixed: chooseMatmulTile(size),
    flops: flopsOf(size),
    inputs: [a.tensor, b.tensor],
    run: (variant, inputs) => {
      const [left, right] = strides.map((batchStride, at) => ({ batchStride, tensor: inputs[at] }));
      scope(() => matmulTiles(left, right, empty([batches, M, N]), size, variant));
    },
  });
  matmulTiles(a, b, y, size, tile);
}

const flopsOf = ({ batches, M, N, K }: Size): number => 2 * batches * M * N * K;

function matmulTiles(a: Operand, b: Operand, y: Tensor, size: Size, tile: TileName): void {
  const splits = matmulSplits(size, tile);
  if (splits === 1) return launchTiles(a, b, y, size, tile);
  const { M, N } = size;
  const K = size.K / splits;
  const parts = empty([splits, M, N]);
  const split = ({ tensor }: Operand, X: number): Operand => ({ tensor, batchStride: K * ceilDiv(X, 4) });
  launchTiles(split(a, M), split(b, N), parts, { batches: splits, M, N, K }, tile);
  sumSplits(parts, [M, N], y);
}

function launchTiles(a: Operand, b: Operand, y: Tensor, size: Size, tile: TileName): void {
  const { batches, M, N, K } = size;
  const [rows, columns] = TILES[tile];
  launch(kernels.matmul.workgroup, {
    bindings: { a: a.tensor, b: b.tensor, y },
    constants: {
      TILE_ROWS: rows,
      TILE_COLUMNS: columns,
      ROWS: M,
      COLUMNS: N,
      DEPTH: K,
      A_BATCH: a.batchStride,
      B_BATCH: b.batchStride,
      BATCHES: batches,
      ...(N % 4 === 0 ? { VECTORS: true, Stored: "vec4f", whole: "v", part: "vec4f(v)" } : {}),
    },
    workgroups: tilesOf(size, tile),
    flops: flopsOf(size),
  });
}
