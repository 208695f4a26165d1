// Chooses and launches the kernels of conv2d: one of three families by adapter, the tile by the number of channels.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { gatherPortable, weightGradientPortable } from "./conv2d-portable.ts";
import { gatherWorkgroup, weightGradientWorkgroup } from "./conv2d-workgroup.ts";

/** The sizes of a convolution, resolved. */
export interface Geometry {
  readonly x: readonly [N: number, H: number, W: number, C: number];
  readonly y: readonly [N: number, P: number, Q: number, K: number];
  readonly weight: readonly [R: number, S: number, C: number, K: number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

/**
 * One run of a gather kernel: `y[place * spread + phase] = sum over taps of x[place * step + (origin + tap * spacing) / divisor] weight[tap]`,
 * taps that divisor does not divide left out.
 */
export interface Gather {
  readonly x: readonly [number, number, number, number];
  readonly y: readonly [number, number, number, number];
  readonly taps: readonly [number, number];
  readonly places: readonly [number, number];
  readonly step: readonly [number, number];
  readonly origin: readonly [number, number];
  readonly spacing: readonly [number, number];
  readonly divisor: readonly [number, number];
  readonly spread: readonly [number, number];
  readonly phase: readonly [number, number];
}

/** y, and with `stats` the per-tile means and squared deviations of its columns. */
export function forward(
  x: Tensor,
  weight: Tensor,
  g: Geometry,
  stats: boolean,
): { y: Tensor; partials: BatchNormPartials | null } {
  const y = empty(g.y);
  const gather: Gather = {
    x: g.x,
    y: g.y,
    taps: [g.weight[0], g.weight[1]],
    places: [g.y[1], g.y[2]],
    step: g.stride,
    origin: [-g.padding[0], -g.padding[1]],
    spacing: g.dilation,
    divisor: [1, 1],
    spread: [1, 1],
    phase: [0, 0],
  };
  return { y, partials: runGather(x, weight, y, gather, stats) };
}

/**
 * dx: the convolution of dy with the weights turned around. With a stride, the pixels of x fall into stride x stride phases
 * that each see their own taps; one dispatch per phase then wastes nothing on the others.
 */
export function inputGradient(dy: Tensor, weight: Tensor, g: Geometry): Tensor {
  return scope(() => {
    const dx = empty(g.x);
    const turned = turnWeights(weight, g);
    const [stepP, stepQ] = g.stride;
    for (let p = 0; p < Math.min(stepP, g.x[1]); p++) {
      for (let q = 0; q < Math.min(stepQ, g.x[2]); q++) {
        const gather: Gather = {
          x: g.y,
          y: g.x,
          taps: [g.weight[0], g.weight[1]],
          places: [ceilDiv(g.x[1] - p, stepP), ceilDiv(g.x[2] - q, stepQ)],
          step: [1, 1],
          origin: [p + g.padding[0], q + g.padding[1]],
          spacing: [-g.dilation[0], -g.dilation[1]],
          divisor: g.stride,
          spread: g.stride,
          phase: [p, q],
        };
        runGather(dy, turned, dx, gather, false);
      }
    }
    return dx;
  });
}

/** [R,S,C,K] -> [R,S,K,C]. */
function turnWeights(weight: Tensor, { weight: [R, S, C, K] }: Geometry): Tensor {
  const turned = empty([R, S, K, C]);
  const params = { taps: R * S, rows: C, columns: K };
  const workgroups = ceilDiv((R * S * C * K) / 16, 64);
  launch(kernels.conv2d.turnWeights, { bindings: { weight, turned }, params, workgroups });
  return turned;
}

/** dweight [R,S,C,K]: a sum over all output pixels, split so that enough workgroups run, then added in fixed order. */
export function weightGradient(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  return scope(() => {
    const family = currentDevice().family;
    if (family === "workgroup") return weightGradientWorkgroup(x, dy, g);
    if (family === "portable") return weightGradientPortable(x, dy, g);
    return weightGradientSubgroup(x, dy, g);
  });
}

function runGather(x: Tensor, weight: Tensor, y: Tensor, gather: Gather, stats: boolean): BatchNormPartials | null {
  const family = currentDevice().family;
  if (family === "workgroup") return gatherWorkgroup(x, weight, y, gather, stats);
  if (family === "portable") return gatherPortable(x, weight, y, gather);
  return gatherSubgroup(x, weight, y, gather, stats);
}

/** Multiply-adds times 2. Taps that a phase skips are counted out evenly. */
export function gatherFlops(g: Gather): number {
  const taps = (g.taps[0] * g.taps[1]) / (g.divisor[0] * g.divisor[1]);
  return 2 * g.y[0] * g.places[0] * g.places[1] * taps * g.x[3] * g.y[3];
}

export const weightGradientFlops = (g: Geometry): number =>
  2 * g.y[0] * g.y[1] * g.y[2] * g.y[3] * g.weight[0] * g.weight[1] * g.weight[2];

/** Where no partials are wanted the binding still needs a buffer. */
export const noPartials = (): Tensor => empty([4]);

const lanes = (): number => currentDevice().info.subgroupSize;

/** Columns a lane computes: 2 where 16 or fewer columns would leave half of the lanes of a vec4 tile idle. */
const narrow = (K: number, lanes: number): boolean => K <= 2 * lanes && K % 2 === 0;

function gatherSubgroup(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
): BatchNormPartials | null {
  return scope(() => {
    const LANES = lanes();
    const K = gather.y[3];
    const rows = 4 * LANES;
    const places = gather.y[0] * gather.places[0] * gather.places[1];
    const tiles = ceilDiv(places, rows);
    const isNarrow = narrow(K, LANES);
    const width = isNarrow ? 2 : 4;
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherSubgroup, {
      bindings: { x, weight, y, partials },
      constants: { LANES, ...(isNarrow ? { Block: "vec2f", WIDTH: 2 } : {}) },
      params: { ...gatherParams(gather), stats: stats ? 1 : 0 },
      workgroups: tiles * ceilDiv(K, width * LANES),
      flops: gatherFlops(gather),
    });
    return stats ? { means: partials, rowsPerTile: rows, rows: places } : null;
  });
}

/** The Params that the gather kernels of all families share. */
export function gatherParams(g: Gather) {
  return {
    x_size: g.x,
    y_size: g.y,
    places: g.places,
    taps: g.taps,
    step: g.step,
    origin: g.origin,
    spacing: g.spacing,
    divisor: g.divisor,
    spread: g.spread,
    phase: g.phase,
  };
}

function weightGradientSubgroup(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  const LANES = lanes();
  const [R, S, C, K] = g.weight;
  const isNarrow = narrow(K, LANES);
  const tiles = ceilDiv(R * S * C, 4 * LANES) * ceilDiv(K, (isNarrow ? 2 : 4) * LANES);
  // A handful of workgroups per core evens out their ends; more splits would only cost memory traffic.
  const { splits, rowsPerSplit } = splitRows(g, tiles, 16);
  const parts = empty([splits, R, S, C, K]);
  launch(kernels.conv2d.weightGradientSubgroup, {
    bindings: { x, dy, dweight: parts },
    constants: { LANES, ...(isNarrow ? { Block: "vec2f", WIDTH: 2 } : {}) },
    params: weightGradientParams(g, splits, rowsPerSplit),
    workgroups: splits * tiles,
    flops: weightGradientFlops(g),
  });
  return sumSplits(parts, g);
}

/** How many splits of the output rows (n, p) make about `workgroups` workgroups of `tiles` tiles each. */
export function splitRows(g: Geometry, tiles: number, workgroups: number): { splits: number; rowsPerSplit: number } {
  const rows = g.y[0] * g.y[1];
  const rowsPerSplit = ceilDiv(rows, Math.max(1, Math.min(rows, ceilDiv(workgroups, tiles))));
  return { splits: ceilDiv(rows, rowsPerSplit), rowsPerSplit };
}

export function weightGradientParams(g: Geometry, splits: number, rowsPerSplit: number) {
  return {
    x_size: g.x,
    dy_size: g.y,
    window: [g.weight[0], g.weight[1], ...g.dilation],
    step: [...g.stride, ...g.padding],
    splits,
    rows_per_split: rowsPerSplit,
  };
}

/** [splits,R,S,C,K] -> [R,S,C,K]. */
export function sumSplits(parts: Tensor, g: Geometry): Tensor {
  if (parts.shape[0] === 1) return parts.view(g.weight);
  const total = empty(g.weight);
  const vectors = total.size / 4;
  const params = { vectors, splits: parts.shape[0]! };
  launch(kernels.conv2d.sumSplits, { bindings: { parts, total }, params, workgroups: ceilDiv(vectors, 64) });
  return total;
}
