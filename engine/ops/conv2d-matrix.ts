// Launches conv2d's kernels in tensor cores: f16 operands, f32 sums, for real GPUs that have subgroup matrices.
import { kernels } from "../../shaders/kernels.ts";
import type { Choice } from "../choices.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { PACK_HALVES } from "./cast.ts";
import {
  describeGather,
  gatherFlops,
  isPhase,
  noPartials,
  splitParts,
  sumSplits,
  vector,
  weightGradientConstants,
  convolutionFlops,
  type Gather,
  type Geometry,
} from "./conv2d-geometry.ts";
import { chooseMatrixTile, matrixConstants, matrixTiles, type MatrixTile } from "./matmul-matrix.ts";

/** Whether all three passes of a convolution of f16 tensors can use subgroup matrices: rows of channels are loaded by eights. */
export function usesMatrices({ weight: [, , C, K] }: Geometry): boolean {
  const { family, matrix } = currentDevice();
  return family === "workgroup" && matrix !== null && C % 8 === 0 && K % 8 === 0;
}

/** The tile to use: the fixed one, or what was measured. A large one can be slower, where the driver keeps its sums in memory. */
function chooseTile(
  choice: Pick<Choice, "op" | "shape" | "flops" | "inputs">,
  columns: number,
  fixed: MatrixTile,
  run: (tile: MatrixTile, inputs: readonly Tensor[]) => void,
): MatrixTile {
  const tiles = new Map(matrixTiles(columns).map((tile) => [tile.join("x"), tile]));
  const name = currentDevice().choices.choose({
    ...choice,
    variants: [...tiles.keys()],
    fixed: fixed.join("x"),
    run: (variant, inputs) => scope(() => run(tiles.get(variant)!, inputs)),
  });
  return tiles.get(name)!;
}

/** What a gather launch depends on, for tests: the constants that vary with the shape, and the grid. */
export function gatherMatrixPlan(gather: Gather, tile?: MatrixTile) {
  const K = gather.y[3];
  // One grid for all phases of an input gradient, so that they share a pipeline; places outside of y are not stored.
  const places = [ceilDiv(gather.y[1], gather.spread[0]), ceilDiv(gather.y[2], gather.spread[1])] as const;
  const rows = gather.y[0] * places[0] * places[1];
  const chosen = tile ?? chooseMatrixTile(rows, K);
  const tiles = ceilDiv(rows, chosen[0]);
  return { places, rows, tile: chosen, tiles, workgroups: tiles * ceilDiv(K, chosen[1]) };
}

/**
 * Writes y, and with `stats` returns the partial sums of its tiles.
 *
 * @param x f16, channels a multiple of 8
 * @param weight f16 [R,S,C,K]
 * @param y f16, channels a multiple of 8
 */
export function gatherMatrix(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
  wanted?: MatrixTile,
): BatchNormPartials | null {
  const chosen = wanted ?? chooseGatherTile(x, weight, gather, stats);
  const { places, rows, tile, tiles, workgroups } = gatherMatrixPlan(gather, chosen);
  return scope(() => {
    const partials = stats ? empty([tiles, 2, gather.y[3]]) : noPartials();
    launch(kernels.conv2d.gatherMatrix, {
      bindings: { x, weight, y, partials },
      constants: {
        ...matrixConstants(tile),
        STATS: stats,
        ADDS: gather.adds ?? false,
        pack: PACK_HALVES,
        X_SIZE: vector("vec3u", gather.x.slice(1)),
        Y_SIZE: vector("vec3u", gather.y.slice(1)),
        PLACES: vector("vec2u", places),
        TAPS: vector("vec2u", gather.taps),
        STEP: vector("vec2i", gather.step),
        SPACING: vector("vec2i", gather.spacing),
        DIVISOR: vector("vec2i", gather.divisor),
        SPREAD: vector("vec2u", gather.spread),
      },
      params: { images: gather.y[0], origin: gather.origin, phase: gather.phase },
      workgroups,
      flops: gatherFlops(gather),
    });
    return stats ? { means: partials, rowsPerTile: tile[0], rows } : null;
  });
}

function chooseGatherTile(x: Tensor, weight: Tensor, gather: Gather, stats: boolean): MatrixTile {
  const fixed = gatherMatrixPlan(gather).tile;
  if (isPhase(gather)) return fixed; // too little work each
  return chooseTile(
    { op: "conv2d.matrix", shape: describeGather(gather, stats), flops: gatherFlops(gather), inputs: [x, weight] },
    gather.y[3],
    fixed,
    (tile, [x, weight]) => gatherMatrix(x, weight, empty(gather.y, "f16"), { ...gather, adds: false }, stats, tile),
  );
}

/** Pixels that a workgroup of the weight gradient takes at a time, and the fewest steps that are worth a split of their own. */
const CHUNK = 32;
const FEWEST_STEPS = 8;

/**
 * How the weight gradient's matrix [R S C, K] is tiled, and its sum over pixels split: workgroups for two full rounds of a large GPU and
 * not a few more, which would take a round of their own.
 */
export function weightGradientMatrixPlan(g: Geometry, tile: MatrixTile = weightTile(g)) {
  const [R, S, C, K] = g.weight;
  const tiles = ceilDiv(R * S * C, tile[0]) * ceilDiv(K, tile[1]);
  const all = ceilDiv(g.y[0] * g.y[1] * g.y[2], CHUNK);
  const most = Math.max(1, Math.floor((2 * ENOUGH_WORKGROUPS) / tiles));
  const steps = Math.max(Math.min(all, FEWEST_STEPS), ceilDiv(all, most));
  const splits = ceilDiv(all, steps);
  return { tile, steps, splits, workgroups: splits * tiles };
}

/** The largest tile that the matrix fills. */
function weightTile({ weight: [R, S, C, K] }: Geometry): MatrixTile {
  const rows = R * S * C > 64 ? 128 : 64;
  return [rows, K > 64 ? 128 : 64];
}

/** dweight [R,S,C,K] in f32, of f16 x and dy. */
export function weightGradientMatrix(
  x: Tensor,
  dy: Tensor,
  g: Geometry,
  wanted?: MatrixTile,
  into: Tensor | null = null,
): Tensor {
  const { tile, steps, splits, workgroups } = weightGradientMatrixPlan(g, wanted ?? chooseWeightTile(x, dy, g));
  return scope(() => {
    const parts = splitParts(g, splits, into);
    launch(kernels.conv2d.weightGradientMatrix, {
      bindings: { x, dy, dweight: parts },
      constants: {
        ...matrixConstants(tile),
        ...weightGradientConstants(g),
      },
      params: { images: g.y[0], splits, steps },
      workgroups,
      flops: convolutionFlops(g),
    });
    return sumSplits(parts, g.weight, into);
  });
}

function chooseWeightTile(x: Tensor, dy: Tensor, g: Geometry): MatrixTile {
  const shape = `${g.x.join("x")} ${g.weight.join("x")} /${g.stride.join("x")} +${g.padding.join("+")}`;
  return chooseTile(
    { op: "conv2d.weightMatrix", shape, flops: convolutionFlops(g), inputs: [x, dy] },
    g.weight[3],
    weightTile(g),
    (tile, inputs) => weightGradientMatrix(inputs[0], inputs[1], g, tile),
  );
}
