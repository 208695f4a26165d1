// Launches conv2d's kernels for real GPUs: tiles in workgroup memory, the geometry compiled in.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import {
  gatherFlops,
  noPartials,
  sumSplits,
  weightGradientFlops,
  type Gather,
  type Geometry,
} from "./conv2d-geometry.ts";
import { scope } from "../scope.ts";

/** Rows and columns of the output that a workgroup computes: 64 or 128 each. */
export type WorkgroupTile = readonly [rows: number, columns: number];

/** Two workgroups for each of the 132 multiprocessors of a large GPU. With fewer, smaller tiles or more splits do better. */
const ENOUGH_WORKGROUPS = 264;

/** The largest tile that leaves enough workgroups: larger ones load less per multiply-add. 128 x 128 needs 16 KB of workgroup memory. */
export function chooseTile(rows: number, columns: number): WorkgroupTile {
  const tiles: WorkgroupTile[] = columns > 64 ? [[128, 128], [128, 64]] : [[128, 64]]; // prettier-ignore
  return tiles.find((tile) => ceilDiv(rows, tile[0]) * ceilDiv(columns, tile[1]) >= ENOUGH_WORKGROUPS) ?? [64, 64];
}

/** Writes y, and with `stats` returns the partial sums of its tiles. */
export function gatherWorkgroup(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
  tile: WorkgroupTile = chooseTile(gather.y[0] * gather.places[0] * gather.places[1], gather.y[3]),
): BatchNormPartials | null {
  const [C, K] = [gather.x[3], gather.y[3]];
  // One grid for all phases of an input gradient, so that they share a pipeline; places outside of y are not stored.
  const places = [ceilDiv(gather.y[1], gather.spread[0]), ceilDiv(gather.y[2], gather.spread[1])] as const;
  const rows = gather.y[0] * places[0] * places[1];
  const tiles = ceilDiv(rows, tile[0]);
  return scope(() => {
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherWorkgroup, {
      bindings: { x, weight, y, partials },
      constants: {
        TILE_ROWS: tile[0],
        TILE_COLUMNS: tile[1],
        CHUNK: C >= 12 ? 16 : C > 4 ? 8 : 4,
        STATS: stats,
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
      workgroups: tiles * ceilDiv(K, tile[1]),
      flops: gatherFlops(gather),
    });
    return stats ? { means: partials, rowsPerTile: tile[0], rows } : null;
  });
}

/** Pixels that a workgroup of the weight gradient takes at a time, and the fewest steps that are worth a split of their own. */
const CHUNK = 16;
const FEWEST_STEPS = 8;

/** dweight [R,S,C,K]. */
export function weightGradientWorkgroup(
  x: Tensor,
  dy: Tensor,
  g: Geometry,
  tile: WorkgroupTile = weightTile(g),
): Tensor {
  const [R, S, C, K] = g.weight;
  const tiles = ceilDiv(R * S * C, tile[0]) * ceilDiv(K, tile[1]);
  const steps = ceilDiv(g.y[0] * g.y[1] * g.y[2], CHUNK);
  const stepsPerSplit = Math.max(Math.min(steps, FEWEST_STEPS), Math.floor(steps / ceilDiv(ENOUGH_WORKGROUPS, tiles)));
  const splits = ceilDiv(steps, stepsPerSplit);
  const parts = empty([splits, R, S, C, K]);
  launch(kernels.conv2d.weightGradientWorkgroup, {
    bindings: { x, dy, dweight: parts },
    constants: {
      TILE_ROWS: tile[0],
      TILE_COLUMNS: tile[1],
      CHUNK,
      X_SIZE: vector("vec3u", g.x.slice(1)),
      DY_SIZE: vector("vec3u", g.y.slice(1)),
      TAPS: vector("vec2u", [R, S]),
      STRIDE: vector("vec2i", g.stride),
      PADDING: vector("vec2i", g.padding),
      DILATION: vector("vec2i", g.dilation),
    },
    params: { images: g.y[0], splits, steps: stepsPerSplit },
    workgroups: splits * tiles,
    flops: weightGradientFlops(g),
  });
  return sumSplits(parts, g);
}

/** Splits give enough workgroups for any tile, so the largest that the matrix fills. */
function weightTile(g: Geometry): WorkgroupTile {
  const [R, S, C, K] = g.weight;
  return [R * S * C > 64 ? 128 : 64, K > 64 ? 128 : 64];
}

/** A WGSL vector of constants. */
const vector = (type: string, values: readonly number[]): string => `${type}(${values.join(", ")})`;
