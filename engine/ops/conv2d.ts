// 2-D convolution (cross-correlation, no bias). x [N,H,W,C], weight [R,S,C/groups,K] -> y [N,P,Q,K].
// This file has the op: shapes, options, gradients. conv2d-launch.ts has the choice and launch of kernels.
import { differentiable, noGrad, shouldRecord } from "../autograd.ts";
import { insideScope, scope } from "../scope.ts";
import { asPair, ceilDiv, check, sameShape, showShape, windowCounts, type Pair, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { throughSingle } from "./cast.ts";
import { groupedForward, groupedInputGradient, groupedWeightGradient, isDepthwise } from "./conv2d-grouped.ts";
import type { Geometry, Keep, Transforms } from "./conv2d-geometry.ts";
import { forward, inputGradient, weightGradient } from "./conv2d-launch.ts";
import { pad, slice } from "./view.ts";

export interface Conv2dOptions {
  /** Pixels between windows: one number or [rows, columns]. Default 1. */
  stride?: Pair;
  /** Zeros added on each side. Default 0. */
  padding?: Pair;
  /** Pixels between taps. Default 1. */
  dilation?: Pair;
  /** Channels are split into this many independent groups; `groups: C` is a depthwise convolution. Default 1. */
  groups?: number;
}

/** A convolution's result, and batch norm's partial sums of it where its kernel could take them. */
export interface ConvolutionWithStats {
  y: Tensor;
  /** Null for groups, K not a multiple of 4, cut tiles and portable kernels: batch norm then sums by itself. */
  partials: BatchNormPartials | null;
}

/**
 * 2-D cross-correlation without bias, PyTorch's conv2d in channels-last layout. With `stats: true` it also returns batch norm's
 * partial sums of y from the convolution's own registers: `batchNorm(y, { partials })` then saves a pass over y.
 *
 * @param x [N,H,W,C], f32 or f16
 * @param weight [R,S,C/groups,K], f32
 * @returns [N,P,Q,K] of x's type, P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions & { stats: true }): ConvolutionWithStats;
export function conv2d(x: Tensor, weight: Tensor, options?: Conv2dOptions): Tensor;
export function conv2d(
  x: Tensor,
  weight: Tensor,
  options: Conv2dOptions & { stats?: boolean } = {},
): Tensor | ConvolutionWithStats {
  const geometry = geometryOf(x, weight, options);
  const stats = options.stats ?? false;
  // An output that is cut to K channels after the kernel has other columns than its partials.
  const result =
    geometry.groups > 1
      ? { y: grouped(x, weight, geometry), partials: null }
      : direct(x, weight, geometry, stats && geometry.y[3] % 4 === 0);
  return stats ? result : result.y;
}

/**
 * The kernels load channels by fours: other counts (a stem's 3, odd K) are padded with zeros before and cut off after. The
 * backward pass pads again, instead of keeping wider copies from the forward pass.
 */
function direct(x: Tensor, weight: Tensor, g: Geometry, stats: boolean): ConvolutionWithStats {
  const [R, S, C, K] = g.weight;
  const [wideC, wideK] = [4 * ceilDiv(C, 4), 4 * ceilDiv(K, 4)];
  const wide: Geometry = {
    ...g,
    x: [g.x[0], g.x[1], g.x[2], wideC],
    y: [g.y[0], g.y[1], g.y[2], wideK],
    weight: [R, S, wideC, wideK],
  };
  // Each gradient uses the other side's transform. Only in a scope: elsewhere nothing would free it if there is no backward pass.
  const keep: Keep = { x: shouldRecord([weight]) && insideScope(), weight: shouldRecord([x]) && insideScope() };
  const result = scope(() =>
    noGrad(() => {
      const { y, ...rest } = forward(resized(x, wide.x), resized(weight, wide.weight), wide, stats, keep);
      return { y: resized(y, g.y), ...rest };
    }),
  );
  const kept = { ...result.kept };
  // A second backward pass computes it again.
  const release = (which: keyof Transforms): void => {
    kept[which]?.dispose();
    kept[which] = null;
  };
  differentiable("conv2d", { x, weight }, result.y, {
    x: (dy, _into, sum) => {
      const target = sameShape(wide.x, g.x) ? sum : null;
      const dx = inputGradient(resized(dy, wide.y), resized(weight, wide.weight), wide, kept.weight, target);
      release("weight");
      return resized(dx, g.x);
    },
    weight: (dy, into) => {
      const target = sameShape(wide.weight, g.weight) ? into : null;
      const dweight = weightGradient(resized(x, wide.x), resized(dy, wide.y), wide, kept.x, target);
      release("x");
      return resized(dweight, g.weight);
    },
  });
  return { y: result.y, partials: result.partials };
}

/** x itself, or a copy padded with zeros or cut at the ends of its axes to `shape`. */
function resized(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const narrower = shape.some((n, axis) => n < x.shape[axis]);
  const cut = narrower ? slice(x, shape.map((end) => ({ end }))) : x; // prettier-ignore
  return sameShape(cut.shape, shape) ? cut : pad(cut, shape.map((n, axis) => [0, n - cut.shape[axis]])); // prettier-ignore
}

function grouped(x: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  if (x.dtype === "f16" && !isDepthwise(geometry)) return throughSingle(x, (wide) => grouped(wide, weight, geometry));
  return differentiable("conv2d", { x, weight }, groupedForward(x, weight, geometry), {
    x: (dy) => groupedInputGradient(dy, weight, geometry),
    weight: (dy) => groupedWeightGradient(x, dy, geometry),
  });
}

function geometryOf(x: Tensor, weight: Tensor, options: Conv2dOptions): Geometry {
  const op = "conv2d";
  const full = (t: Tensor): boolean => t.rank === 4 && t.size > 0;
  check(full(x) && x.dtype !== "u32", op, () => `x must be f32 or f16 [N,H,W,C], got ${x.toString()}`);
  check(full(weight) && weight.dtype === "f32", op, () => `weight must be f32 [R,S,C,K], got ${weight.toString()}`);
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const [R, S, weightC, K] = weight.shape as [number, number, number, number];
  const groups = options.groups ?? 1;
  const [stride, padding, dilation] = [
    asPair(options.stride ?? 1),
    asPair(options.padding ?? 0),
    asPair(options.dilation ?? 1),
  ];
  check(
    Number.isInteger(groups) && groups >= 1 && C % groups === 0 && K % groups === 0,
    op,
    () => `${groups} groups do not divide ${C} input and ${K} output channels`,
  );
  check(weightC * groups === C, op, () => {
    const expects = groups === 1 ? `${weightC}` : `${weightC} x ${groups} groups = ${weightC * groups}`;
    return `weight ${showShape(weight.shape)} expects ${expects} input channels, x ${showShape(x.shape)} has ${C}`;
  });
  check(
    [...stride, ...dilation].every((n) => Number.isInteger(n) && n >= 1),
    op,
    () => `stride and dilation must be whole numbers from 1, got ${stride.join(" x ")} and ${dilation.join(" x ")}`,
  );
  check(
    padding.every((n) => Number.isInteger(n) && n >= 0),
    op,
    () => `padding must be a whole number from 0, got ${padding.join(" x ")}`,
  );
  const [P, Q] = windowCounts(op, x.shape, { kernel: [R, S], stride, padding, dilation });
  return { x: [N, H, W, C], y: [N, P, Q, K], weight: [R, S, weightC, K], stride, padding, dilation, groups };
}
