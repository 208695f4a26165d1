// What the kernel families of conv2d share: sizes, Params, operation counts, and the sum over splits.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { ceilDiv, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { writtenAs } from "./cast.ts";

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
  /** Adds to y instead of writing over it. */
  readonly adds?: boolean;
}

export interface Forward {
  readonly y: Tensor;
  /** With `stats`: per-tile means and squared deviations of y's columns. */
  readonly partials: BatchNormPartials | null;
  readonly kept: Transforms;
}

/** Winograd's transforms that the forward pass computed and a gradient can use again: x's for the weights', the weights' for x's. */
export interface Transforms {
  readonly x: Tensor | null;
  readonly weight: Tensor | null;
}

export const NO_TRANSFORMS: Transforms = { x: null, weight: null };

/** Which of them are wanted. */
export interface Keep {
  readonly x: boolean;
  readonly weight: boolean;
}

/** Whether it is one of several runs that make up an input gradient with strides. */
export const isPhase = ({ divisor }: Gather): boolean => divisor.some((n) => n > 1);

/** What the time of a gather depends on, for choices. */
export function describeGather({ x, y, taps, step, origin, spacing }: Gather, stats: boolean): string {
  const window = `${taps.join("x")}x${y[3]}`;
  const places = `${step.join("x")} ${origin.join(" ")} ${spacing.join(" ")}`;
  return `${x.join("x")} ${window} /${places}${stats ? " stats" : ""}`;
}

/** Multiply-adds times 2. Taps that a phase skips are counted out evenly. */
export function gatherFlops(g: Gather): number {
  const taps = (g.taps[0] * g.taps[1]) / (g.divisor[0] * g.divisor[1]);
  return 2 * g.y[0] * g.places[0] * g.places[1] * taps * g.x[3] * g.y[3];
}

/** Of any of its three passes: multiply-adds times 2, those with padding counted. */
export const convolutionFlops = (g: Geometry): number =>
  2 * g.y[0] * g.y[1] * g.y[2] * g.y[3] * g.weight[0] * g.weight[1] * g.weight[2];

/** Where no partials are wanted the binding still needs a buffer. */
export const noPartials = (): Tensor => empty([4]);

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
    adds: g.adds ? 1 : 0,
  };
}

/** [R,S,C,K] -> [R,S,K,C], rounded to f16 where that is wanted. */
export function turnWeights(weight: Tensor, { weight: [R, S, C, K] }: Geometry, dtype: "f32" | "f16" = "f32"): Tensor {
  const turned = empty([R, S, K, C], dtype);
  const params = { taps: R * S, rows: C, columns: K };
  const workgroups = ceilDiv((R * S * C * K) / 16, 64);
  launch(kernels.conv2d.turnWeights, { bindings: { weight, turned }, constants: writtenAs(dtype), params, workgroups });
  return turned;
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

/** A WGSL vector of constants. */
export const vector = (type: string, values: readonly number[]): string => `${type}(${values.join(", ")})`;

/** The geometry as constants: for the weight gradients that are compiled for each shape. */
export const weightGradientConstants = (g: Geometry) => ({
  X_SIZE: vector("vec3u", g.x.slice(1)),
  DY_SIZE: vector("vec3u", g.y.slice(1)),
  TAPS: vector("vec2u", g.weight.slice(0, 2)),
  STRIDE: vector("vec2i", g.stride),
  PADDING: vector("vec2i", g.padding),
  DILATION: vector("vec2i", g.dilation),
});

/** For the sums of the splits, [splits,R,S,C,K]: the only one may lie where the gradient is wanted. */
export const splitParts = (g: Geometry, splits: number, into: Tensor | null): Tensor =>
  splits === 1 && into ? into.view([1, ...g.weight]) : empty([splits, ...g.weight]);

/**
 * [splits, ...shape] -> shape in fixed order, in `into` where that is given. Each split is as many whole vec4s as shape takes, or in the
 * `workgroup` family the elements of shape and no more.
 */
export function sumSplits(parts: Tensor, shape: Shape, into: Tensor | null = null): Tensor {
  const [splits] = parts.shape;
  if (splits === 1) return parts.view(shape);
  const total = into ?? empty(shape);
  const bindings = { parts, total };
  if (currentDevice().family === "workgroup") {
    const width = (parts.size / splits) % 4 === 0 ? 4 : 1;
    const { shares, across } = sharesOf(splits);
    const values = ceilDiv(total.size, width);
    launch(kernels.conv2d.sumSplitsWorkgroup, {
      bindings,
      constants: { SHARES: shares, ...(width === 1 ? { Value: "f32" } : {}) },
      params: { values, splits },
      workgroups: ceilDiv(values, across),
    });
  } else {
    const vectors = ceilDiv(total.size, 4);
    launch(kernels.conv2d.sumSplits, { bindings, params: { vectors, splits }, workgroups: ceilDiv(vectors, 64) });
  }
  return total;
}

/** How many invocations of a real GPU add the splits of one value, and how many values a workgroup has then. Each adds four a turn. */
function sharesOf(splits: number): { shares: number; across: number } {
  if (splits < 16) return { shares: 1, across: 64 };
  return { shares: splits < 128 ? 8 : 32, across: 8 };
}
