// Launches conv2d's kernels for real GPUs: tiles in workgroup memory, the geometry compiled in.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { loadedAs, storedAs } from "./cast.ts";
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
import { scope } from "../scope.ts";

/** Rows and columns of the output that a workgroup computes, with 8 x 8 values for each of its invocations. */
export type WorkgroupTile = readonly [rows: number, columns: number];

export const TILES = { "256x64": [256, 64], "128x128": [128, 128], "128x64": [128, 64], "64x64": [64, 64] } as const;
export type TileName = keyof typeof TILES;

/** Bytes of workgroup memory for 256 x 64; the others need 16 KB, which every adapter has. */
const TALL_BYTES = 24_576;

/** Tiles for that many columns, largest first. */
export function tileNames(columns: number): TileName[] {
  if (columns > 64) return ["128x128", "128x64", "64x64"];
  const tall = currentDevice().limits.maxComputeWorkgroupStorageSize >= TALL_BYTES;
  return tall ? ["256x64", "128x64", "64x64"] : ["128x64", "64x64"];
}

/** The largest tile that leaves enough workgroups: larger ones load less per multiply-add. */
export function chooseTile(rows: number, columns: number): TileName {
  const enough = ([r, c]: WorkgroupTile): boolean => ceilDiv(rows, r) * ceilDiv(columns, c) >= ENOUGH_WORKGROUPS;
  return tileNames(columns).find((name) => enough(TILES[name])) ?? "64x64";
}

/** Writes y, and with `stats` returns the partial sums of its tiles. */
export function gatherWorkgroup(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
): BatchNormPartials | null {
  const rows = gather.y[0] * gather.places[0] * gather.places[1];
  const fixed = chooseTile(rows, gather.y[3]);
  const flops = gatherFlops(gather);
  const name = isPhase(gather) // too little work each
    ? fixed
    : currentDevice().choices.choose<TileName>({
        op: "conv2d.gather",
        shape: describeGather(gather, stats) + (x.dtype === "f16" ? " f16" : ""),
        variants: tileNames(gather.y[3]),
        fixed,
        flops,
        inputs: [x, weight],
        run: (variant, [x, weight]) =>
          void gatherTiles(x, weight, empty(gather.y, x.dtype), { ...gather, adds: false }, stats, TILES[variant]),
      });
  return gatherTiles(x, weight, y, gather, stats, TILES[name]);
}

/** The same in tiles of a given size. */
export function gatherTiles(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
  tile: WorkgroupTile,
): BatchNormPartials | null {
  const [C, K] = [gather.x[3], gather.y[3]];
  // One grid for all phases of an input gradient, so that they share a pipeline; places outside of y are not stored.
  const places = [ceilDiv(gather.y[1], gather.spread[0]), ceilDiv(gather.y[2], gather.spread[1])] as const;
  const rows = gather.y[0] * places[0] * places[1];
  const tiles = ceilDiv(rows, tile[0]);
  const [down, across] = [contributing(gather, 0), contributing(gather, 1)];
  const taps = down.count * across.count;
  return scope(() => {
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherWorkgroup, {
      bindings: { x, weight, y, partials },
      constants: {
        TILE_ROWS: tile[0],
        TILE_COLUMNS: tile[1],
        STATS: stats,
        ADDS: gather.adds ?? false,
        ALL_TAPS: gather.divisor.every((n) => n === 1),
        X_SIZE: vector("vec3u", gather.x.slice(1)),
        Y_SIZE: vector("vec3u", gather.y.slice(1)),
        PLACES: vector("vec2u", places),
        STEP: vector("vec2i", gather.step),
        SPREAD: vector("vec2u", gather.spread),
        ...storedAs(x.dtype),
      },
      params: {
        images: gather.y[0],
        pairs: ceilDiv(taps * C, STEPS_PER_PAIR),
        taps: [down.count, across.count],
        origin: [down.origin, across.origin],
        spacing: [down.spacing, across.spacing],
        first: [down.first, across.first],
        tap_step: [down.step, across.step],
        window: gather.taps[1],
        phase: gather.phase,
      },
      workgroups: tiles * ceilDiv(K, tile[1]),
      flops: 2 * gather.y[0] * gather.places[0] * gather.places[1] * taps * C * K,
    });
    return stats ? { means: partials, rowsPerTile: tile[0], rows } : null;
  });
}

/** The taps along an axis whose position in x the divisor divides, and where they lie. */
interface Taps {
  readonly first: number;
  readonly step: number;
  readonly count: number;
  /** In x, of the first and from one to the next. */
  readonly origin: number;
  readonly spacing: number;
}

export function contributing(gather: Gather, axis: 0 | 1): Taps {
  const [count, origin, spacing, divisor] = [
    gather.taps[axis],
    gather.origin[axis],
    gather.spacing[axis],
    gather.divisor[axis],
  ];
  const all = Array.from({ length: count }, (_, tap) => tap).filter((tap) => (origin + tap * spacing) % divisor === 0);
  const [first = 0, second = first + 1] = all; // the others follow at the same distance
  const step = second - first;
  const position = (tap: number): number => Math.floor((origin + tap * spacing) / divisor);
  return {
    first,
    step,
    count: all.length,
    origin: position(first),
    spacing: position(first + step) - position(first),
  };
}

/** Steps of a sum that two strips take: all kernels here and Winograd's products take them in pairs. */
export const STEPS_PER_PAIR = 16;
/** Worth a split of their own. */
const FEWEST_PAIRS = 8;

/**
 * How many splits of a sum of `depth` steps make workgroups for two full rounds of a large GPU and not a few more, which would take
 * a round of their own; and how many pairs of strips each split takes.
 *
 * @param tiles workgroups in one split
 */
export function splitSum(
  depth: number,
  tiles: number,
  [rows, columns]: WorkgroupTile,
): { splits: number; pairs: number } {
  const all = ceilDiv(depth, STEPS_PER_PAIR);
  const threads = (rows * columns) / 64;
  const most = Math.max(1, Math.floor((2 * ENOUGH_WORKGROUPS * 256) / threads / tiles));
  const pairs = Math.max(Math.min(all, FEWEST_PAIRS), ceilDiv(all, most));
  return { splits: ceilDiv(all, pairs), pairs };
}

/** dweight [R,S,C,K]. */
export function weightGradientWorkgroup(
  x: Tensor,
  dy: Tensor,
  g: Geometry,
  tile: WorkgroupTile = weightTile(g),
  into: Tensor | null = null,
): Tensor {
  const [R, S, C, K] = g.weight;
  const tiles = ceilDiv(R * S * C, tile[0]) * ceilDiv(K, tile[1]);
  const { splits, pairs } = splitSum(g.y[0] * g.y[1] * g.y[2], tiles, tile);
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientWorkgroup, {
    bindings: { x, dy, dweight: parts },
    constants: {
      TILE_ROWS: tile[0],
      TILE_COLUMNS: tile[1],
      ...weightGradientConstants(g),
      ...loadedAs(x.dtype),
    },
    params: { images: g.y[0], splits, pairs },
    workgroups: splits * tiles,
    flops: convolutionFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}

/** Splits give enough workgroups for any tile, so the largest that the matrix fills. */
function weightTile(g: Geometry): WorkgroupTile {
  const [R, S, C, K] = g.weight;
  return [R * S * C > 64 ? 128 : 64, K > 64 ? 128 : 64];
}
