// conv2d's kernels for software GPUs: one subgroup a tile, broadcasts instead of workgroup memory and barriers.
import { kernels } from "../../shaders/kernels.ts";
import type { Choice } from "../choices.ts";
import { currentDevice } from "../current.ts";
import { CACHED, cachedTiles, ENOUGH_LOADS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { loadedAs, loadedInPairs, storedAs } from "./cast.ts";
import {
  gatherFlops,
  gatherParams,
  noPartials,
  splitRows,
  splitParts,
  sumSplits,
  convolutionFlops,
  weightGradientParams,
  type Gather,
  type Geometry,
} from "./conv2d-geometry.ts";

const lanes = (): number => currentDevice().info.subgroupSize;

export function gatherSubgroup(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
): BatchNormPartials | null {
  if (!suitsRows(gather)) return gatherTiles(x, weight, y, gather, stats);
  const [shapes, spacing] = [[gather.x, gather.y].map((shape) => shape.join("x")), gather.spacing[0]];
  const columns = rowColumns(
    gather.y[3],
    {
      op: "conv2d.rows",
      shape: `${shapes.join(" ")} ${gather.origin.join(" ")} ${spacing}${stats ? " stats" : ""} ${x.dtype}`,
      flops: gatherFlops(gather),
      inputs: [x, weight],
    },
    (columns, [x, weight]) =>
      void gatherRows(x, weight, empty(gather.y, x.dtype), { ...gather, adds: false }, stats, columns),
  );
  return gatherRows(x, weight, y, gather, stats, columns);
}

/** Places of y that a lane of the row kernel computes. */
const ROW_PLACES = 8;
/** Columns that a lane computes, in a narrower and a wider variant. */
const ROW_COLUMNS = 16;
const WIDE_COLUMNS = 32;

/** The share of parts of `part` that n elements fill. */
const filled = (n: number, part: number): number => n / (part * ceilDiv(n, part));

/**
 * Columns that a lane of the row kernels computes. The wider variant loads less, but its loop is 33 to 50 KB of code: a little faster in
 * caches that hold 64, two thirds of the speed in those that hold 32. So it is taken only where it was measured.
 */
function rowColumns(
  K: number,
  choice: Pick<Choice, "op" | "shape" | "flops" | "inputs">,
  run: (columns: number, inputs: readonly Tensor[]) => void,
): number {
  if (filled(K, WIDE_COLUMNS) < 0.9 * filled(K, ROW_COLUMNS)) return ROW_COLUMNS;
  const variants = [`${ROW_COLUMNS}`, `${WIDE_COLUMNS}`];
  const measured = (variant: string, inputs: readonly Tensor[]): void => scope(() => run(Number(variant), inputs));
  return Number(currentDevice().choices.choose({ ...choice, variants, fixed: variants[0], run: measured }));
}

/** How a lane's 8 places lie: 8 of a row, or 4 of each of two rows, and the share of them that is in an image of P rows and Q columns. */
export function rowPlaces([, P, Q]: Gather["y"]): { width: 4 | 8; filled: number } {
  const [wide, square] = [filled(Q, 8), filled(P, 2) * filled(Q, 4)];
  return square > wide ? { width: 4, filled: square } : { width: 8, filled: wide };
}

/**
 * 3 x 3 taps side by side, all of y, and few idle places and columns. With few channels there is little to do for a row of pixels once
 * its addresses are known: worth it only where tiles would leave lanes idle (with as few columns).
 */
function suitsRows({ x, taps, step, spacing, divisor, spread, y }: Gather): boolean {
  if (x[3] < 16 && y[3] > ROW_COLUMNS) return false;
  const plain = [...step, ...divisor, ...spread].every((n) => n === 1) && spacing.every((n) => Math.abs(n) === 1);
  return plain && taps.every((n) => n === 3) && rowPlaces(y).filled * filled(y[3], ROW_COLUMNS) >= 0.75;
}

function gatherRows(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
  columns: number,
): BatchNormPartials | null {
  const LANES = lanes();
  const [N, P, Q, K] = gather.y;
  const { width: WIDTH } = rowPlaces(gather.y);
  const rows = ROW_PLACES / WIDTH;
  const tiles = ceilDiv(N * ceilDiv(P, rows) * ceilDiv(Q, WIDTH), LANES);
  // A tile with places outside of y would have fewer than the others.
  const sums = stats && Q % WIDTH === 0 && P % rows === 0;
  return scope(() => {
    const partials = sums ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherRowSubgroup, {
      bindings: { x, weight, y, partials },
      // Out of a texture weights keep the narrow variant's loop short. The wider one is for caches that hold it.
      texels: { x: true, weight: columns === ROW_COLUMNS && tiles >= ENOUGH_LOADS },
      constants: { LANES, WIDTH, COLUMNS: columns / 4, ...loadedInPairs(x.dtype), ...storedAs(x.dtype) },
      params: {
        x_size: gather.x,
        y_size: gather.y,
        origin: gather.origin,
        spacing: gather.spacing,
        stats: sums ? 1 : 0,
        adds: gather.adds ? 1 : 0,
        tiles,
        together: cachedTiles((weight.size / K) * columns),
      },
      workgroups: tiles * ceilDiv(K, columns),
      flops: gatherFlops(gather),
    });
    return sums ? { means: partials, rowsPerTile: ROW_PLACES * LANES, rows: N * P * Q } : null;
  });
}

/** Any gather: tiles of 4 LANES places x 4 LANES columns. */
function gatherTiles(x: Tensor, weight: Tensor, y: Tensor, gather: Gather, stats: boolean): BatchNormPartials | null {
  return scope(() => {
    const LANES = lanes();
    const K = gather.y[3];
    const rows = 4 * LANES;
    const places = gather.y[0] * gather.places[0] * gather.places[1];
    const tiles = ceilDiv(places, rows);
    const pixels = x.size / gather.x[3];
    const loadsOfX = (gather.taps[0] * gather.taps[1] * places * ceilDiv(K, 4 * LANES)) / pixels;
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherSubgroup, {
      bindings: { x, weight, y, partials },
      texels: { x: loadsOfX >= ENOUGH_LOADS, weight: tiles >= ENOUGH_LOADS },
      constants: { LANES, ...storedAs(x.dtype) },
      params: {
        ...gatherParams(gather),
        stats: stats ? 1 : 0,
        tiles,
        together: cachedTiles((weight.size / K) * 4 * LANES),
      },
      workgroups: tiles * ceilDiv(K, 4 * LANES),
      flops: gatherFlops(gather),
    });
    return stats ? { means: partials, rowsPerTile: rows, rows: places } : null;
  });
}

export function weightGradientSubgroup(x: Tensor, dy: Tensor, g: Geometry, into: Tensor | null): Tensor {
  if (!weightsSuitRows(g)) return weightGradientTiles(x, dy, g, into);
  const columns = rowColumns(
    g.weight[3],
    {
      op: "conv2d.weightRows",
      shape: `${g.x.join("x")} ${g.weight.join("x")} /${g.stride[0]} +${g.padding.join("+")} ${x.dtype}`,
      flops: convolutionFlops(g),
      inputs: [x, dy],
    },
    (columns, [x, dy]) => void weightGradientRows(x, dy, g, null, columns),
  );
  return weightGradientRows(x, dy, g, into, columns);
}

/**
 * 3 x 3 taps side by side, and few idle lanes (one for 3 taps x 4 channels) and columns, or fewer than tiles would have: the first layer of
 * a narrow net. The variant for strides of 2 gains 10 to 25 % and takes a second to compile: for wide layers alone.
 */
function weightsSuitRows({ stride, dilation, groups, weight: [R, S, C, K] }: Geometry): boolean {
  const [down, across] = stride;
  if (down !== across || (down !== 1 && !(down === 2 && Math.min(C, K) >= 64))) return false;
  const plain = [...dilation, groups].every((n) => n === 1) && R === 3 && S === 3;
  const byRows = filled((3 * C) / 4, lanes()) * filled(K, ROW_COLUMNS);
  const byTiles = filled(9 * C, 4 * lanes()) * filled(K, 4 * lanes());
  return plain && byRows >= Math.min(0.75, byTiles);
}

function weightGradientRows(x: Tensor, dy: Tensor, g: Geometry, into: Tensor | null, columns: number): Tensor {
  const LANES = lanes();
  const [, , C, K] = g.weight;
  const [rowTiles, columnTiles] = [ceilDiv((3 * C) / 4, LANES), ceilDiv(K, columns)];
  const tiles = rowTiles * columnTiles;
  const { splits, rowsPerSplit } = splitRows(g, tiles, gradientWorkgroups(g, tiles));
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientRowSubgroup, {
    bindings: { x, dy, dweight: parts },
    texels: { x: 3 * columnTiles >= ENOUGH_LOADS, dy: rowTiles >= ENOUGH_LOADS },
    constants: { LANES, COLUMNS: columns / 4, STRIDE: g.stride[0], ...loadedAs(x.dtype) },
    params: { x_size: g.x, dy_size: g.y, padding: g.padding, splits, rows_per_split: rowsPerSplit },
    workgroups: splits * tiles,
    flops: convolutionFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}

/**
 * Workgroups of a weight gradient of `tiles` tiles: a handful a core, which evens out their ends, or as many splits as let x and dy stay in
 * the cache. The splits' sums take no more memory than the larger of the two, which fits a binding, in f16 too.
 */
function gradientWorkgroups({ x, y, weight }: Geometry, tiles: number): number {
  const [pixels, gradients, sums] = [x, y, weight].map(sizeOf);
  const wanted = Math.ceil((pixels + gradients) / (2 * CACHED));
  return Math.max(16, tiles * Math.min(wanted, Math.floor(Math.max(pixels, gradients) / (2 * sums))));
}

function weightGradientTiles(x: Tensor, dy: Tensor, g: Geometry, into: Tensor | null): Tensor {
  const LANES = lanes();
  const [R, S, C, K] = g.weight;
  const [rowTiles, columnTiles] = [ceilDiv(R * S * C, 4 * LANES), ceilDiv(K, 4 * LANES)];
  const tiles = rowTiles * columnTiles;
  const loadsOfX = (R * S * columnTiles) / (g.stride[0] * g.stride[1]);
  const { splits, rowsPerSplit } = splitRows(g, tiles, gradientWorkgroups(g, tiles));
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientSubgroup, {
    bindings: { x, dy, dweight: parts },
    texels: { x: loadsOfX >= ENOUGH_LOADS, dy: rowTiles >= ENOUGH_LOADS },
    constants: { LANES, ...loadedAs(x.dtype) },
    params: weightGradientParams(g, splits, rowsPerSplit),
    workgroups: splits * tiles,
    flops: convolutionFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}
