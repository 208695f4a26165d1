// Winograd's products on real GPUs: one matrix product for each plane, in tiles of workgroup memory.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { sumSplits } from "./conv2d-geometry.ts";
import { splitSum, STEPS_PER_PAIR, tileNames, TILES, type TileName } from "./conv2d-workgroup.ts";

interface Size {
  readonly planes: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** a b of a [planes, rows, depth] and b [planes, depth, columns]; with `transposed`, a is [planes, depth, rows]. All but planes divide by 4. */
export function multiplyPlanes(a: Tensor, b: Tensor, transposed: boolean): Tensor {
  const [planes, depth, columns] = b.shape as [number, number, number];
  const size: Size = { planes, depth, columns, rows: a.shape[transposed ? 2 : 1] };
  const tile = currentDevice().choices.choose<TileName>({
    op: transposed ? "winograd.weightGradient" : "winograd.forward",
    shape: `${planes}x${size.rows}x${depth}x${columns}`,
    variants: tileNames(columns),
    fixed: choosePlaneTile(size, transposed),
    flops: flopsOf(size),
    inputs: [a, b],
    run: (variant, inputs) => run(inputs[0], inputs[1], size, transposed, variant),
  });
  return run(a, b, size, transposed, tile);
}

const tilesOf = ({ planes, rows, columns }: Size, tile: TileName): number =>
  planes * ceilDiv(rows, TILES[tile][0]) * ceilDiv(columns, TILES[tile][1]);

/** The largest tile that leaves enough workgroups. Where the sum can be split there always are: then the largest that y fills. */
export function choosePlaneTile(size: Size, splits: boolean): TileName {
  if (splits) {
    if (size.rows <= 64) return "64x64";
    return size.columns > 64 ? "128x128" : "128x64";
  }
  const enough = (tile: TileName): boolean => tilesOf(size, tile) >= ENOUGH_WORKGROUPS;
  return tileNames(size.columns).find(enough) ?? "64x64";
}

const flopsOf = ({ planes, rows, columns, depth }: Size): number => 2 * planes * rows * columns * depth;

function run(a: Tensor, b: Tensor, size: Size, transposed: boolean, tile: TileName): Tensor {
  const { planes, rows, columns, depth } = size;
  // The forward pass has many rows and few steps; the weight gradient few rows and many steps.
  const whole = { splits: 1, pairs: ceilDiv(depth, STEPS_PER_PAIR) };
  const { splits, pairs } = transposed ? splitSum(depth, tilesOf(size, tile), TILES[tile]) : whole;
  return scope(() => {
    const parts = empty([splits, planes, rows, columns]);
    launch(kernels.winograd.multiplyWorkgroup, {
      bindings: { a, b, y: parts },
      constants: { TILE_ROWS: TILES[tile][0], TILE_COLUMNS: TILES[tile][1], TRANSPOSED: transposed },
      params: { planes, rows, columns: columns / 4, depth, splits, pairs },
      workgroups: splits * tilesOf(size, tile),
      flops: flopsOf(size),
    });
    return sumSplits(parts, [planes, rows, columns]);
  });
}
