// conv2d's kernels for software GPUs: one subgroup a tile, broadcasts instead of workgroup memory and barriers.
import { kernels } from "../../shaders/kernels.ts";
import type { Choice } from "../choices.ts";
import { currentDevice } from "../current.ts";
import { launch, LOADED_OFTEN } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
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
  weightGradientFlops,
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

/** Places of y that a lane of the row kernels computes. */
export const ROW_PLACES = 8;
/** Columns that a lane computes, in a narrower and a wider variant. */
const ROW_COLUMNS = 16;
const WIDE_COLUMNS = 32;

/** The share of parts of `part` that n elements fill. */
export const filled = (n: number, part: number): number => n / (part * ceilDiv(n, part));

/** Multiply-adds, counted twice, of a pass from which the wider variant is taken unmeasured. */
const WIDE_FLOPS = 1e9;

/**
 * Columns that a lane of the row kernels computes. The wider variant is about 1.1 times as fast where its columns are filled, but takes more
 * than a second to compile, forward and for the weights: small layers gain too little.
 */
function rowColumns(
  K: number,
  choice: Pick<Choice, "op" | "shape" | "flops" | "inputs">,
  run: (columns: number, inputs: readonly Tensor[]) => void,
): number {
  if (filled(K, WIDE_COLUMNS) < 0.9 * filled(K, ROW_COLUMNS)) return ROW_COLUMNS;
  const variants = [`${ROW_COLUMNS}`, `${WIDE_COLUMNS}`];
  const fixed = variants[choice.flops >= WIDE_FLOPS ? 1 : 0];
  const measured = (variant: string, inputs: readonly Tensor[]): void => scope(() => run(Number(variant), inputs));
  return Number(currentDevice().choices.choose({ ...choice, variants, fixed, run: measured }));
}

/**
 * 3 x 3 taps side by side, all of y, and few idle places and columns. With few channels there is little to do for a row of pixels once
 * its addresses are known: worth it only where tiles would leave lanes idle (with as few columns).
 */
function suitsRows({ x, taps, step, spacing, divisor, spread, y }: Gather): boolean {
  if (x[3] < 16 && y[3] > ROW_COLUMNS) return false;
  const plain = [...step, ...divisor, ...spread].every((n) => n === 1) && spacing.every((n) => Math.abs(n) === 1);
  return plain && taps.every((n) => n === 3) && filled(y[2], ROW_PLACES) * filled(y[3], ROW_COLUMNS) >= 0.75;
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
  const tiles = ceilDiv(N * P * ceilDiv(Q, ROW_PLACES), LANES);
  // A tile with places past the end of a row would have fewer than the others.
  const sums = stats && Q % ROW_PLACES === 0;
  return scope(() => {
    const partials = sums ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherRowSubgroup, {
      bindings: { x, weight, y, partials },
      texels: { x: true },
      constants: { LANES, COLUMNS: columns / 4, ...loadedInPairs(x.dtype), ...storedAs(x.dtype) },
      params: {
        x_size: gather.x,
        y_size: gather.y,
        origin: gather.origin,
        spacing: gather.spacing,
        stats: sums ? 1 : 0,
        adds: gather.adds ? 1 : 0,
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
    const loadsOfEach = (gather.taps[0] * gather.taps[1] * places * ceilDiv(K, 4 * LANES)) / pixels;
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherSubgroup, {
      bindings: { x, weight, y, partials },
      texels: { x: loadsOfEach >= LOADED_OFTEN },
      constants: { LANES, ...storedAs(x.dtype) },
      params: { ...gatherParams(gather), stats: stats ? 1 : 0 },
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
      flops: weightGradientFlops(g),
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
  const tiles = ceilDiv((3 * C) / 4, LANES) * ceilDiv(K, columns);
  const { splits, rowsPerSplit } = splitRows(g, tiles, 16);
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientRowSubgroup, {
    bindings: { x, dy, dweight: parts },
    constants: { LANES, COLUMNS: columns / 4, STRIDE: g.stride[0], ...loadedAs(x.dtype) },
    params: { x_size: g.x, dy_size: g.y, padding: g.padding, splits, rows_per_split: rowsPerSplit },
    workgroups: splits * tiles,
    flops: weightGradientFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}

function weightGradientTiles(x: Tensor, dy: Tensor, g: Geometry, into: Tensor | null): Tensor {
  const LANES = lanes();
  const [R, S, C, K] = g.weight;
  const tiles = ceilDiv(R * S * C, 4 * LANES) * ceilDiv(K, 4 * LANES);
  // A handful of workgroups per core evens out their ends; more splits would only cost memory traffic.
  const { splits, rowsPerSplit } = splitRows(g, tiles, 16);
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientSubgroup, {
    bindings: { x, dy, dweight: parts },
    constants: { LANES, ...loadedAs(x.dtype) },
    params: weightGradientParams(g, splits, rowsPerSplit),
    workgroups: splits * tiles,
    flops: weightGradientFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}
