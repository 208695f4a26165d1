// 2-D convolution (cross-correlation, no bias). x [N,H,W,C], weight [R,S,C/groups,K] -> y [N,P,Q,K].
// This file has the op: shapes, options, gradients. conv2d-launch.ts has the choice and launch of kernels.
import { differentiable } from "../autograd.ts";
import { scope } from "../scope.ts";
import { check, showShape, windowCount } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { groupedForward, groupedInputGradient, groupedWeightGradient } from "./conv2d-grouped.ts";
import { forward, inputGradient, weightGradient, type Geometry } from "./conv2d-launch.ts";
import { pad, slice } from "./view.ts";

export interface Conv2dOptions {
  /** Pixels between windows: one number or [rows, columns]. Default 1. */
  stride?: number | readonly [number, number];
  /** Zeros added on each side. Default 0. */
  padding?: number | readonly [number, number];
  /** Pixels between taps. Default 1. */
  dilation?: number | readonly [number, number];
  /** Channels are split into this many independent groups; `groups: C` is a depthwise convolution. Default 1. */
  groups?: number;
}

/**
 * 2-D cross-correlation without bias, PyTorch's conv2d in channels-last layout.
 *
 * @param x [N,H,W,C]
 * @param weight [R,S,C/groups,K]
 * @returns [N,P,Q,K], P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  const geometry = geometryOf(x, weight, options);
  if (geometry.groups > 1) return grouped(x, weight, geometry);
  return narrowed(x, weight, geometry, (a, w, g) => direct(a, w, g, null));
}

/**
 * The same, and batch norm's partial sums of y from the convolution's own registers, for `batchNorm(y, { partials })`:
 * that saves a pass over y. Not for groups.
 */
export function conv2dWithStats(
  x: Tensor,
  weight: Tensor,
  options: Conv2dOptions = {},
): { y: Tensor; partials: BatchNormPartials | null } {
  const geometry = geometryOf(x, weight, options);
  // Padded or grouped outputs are rearranged after the kernel: batch norm then sums by itself.
  if (geometry.groups > 1 || geometry.y[3] % 4 !== 0) return { y: conv2d(x, weight, options), partials: null };
  const holder: { partials: BatchNormPartials | null } = { partials: null };
  const y = narrowed(x, weight, geometry, (a, w, g) => direct(a, w, g, holder));
  return { y, partials: holder.partials };
}

function direct(
  x: Tensor,
  weight: Tensor,
  geometry: Geometry,
  stats: { partials: BatchNormPartials | null } | null,
): Tensor {
  const { y, partials } = forward(x, weight, geometry, stats !== null);
  if (stats) stats.partials = partials;
  return differentiable("conv2d", { x, weight }, y, {
    x: (dy) => inputGradient(dy, weight, geometry),
    weight: (dy) => weightGradient(x, dy, geometry),
  });
}

function grouped(x: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  return differentiable("conv2d", { x, weight }, groupedForward(x, weight, geometry), {
    x: (dy) => groupedInputGradient(dy, weight, geometry),
    weight: (dy) => groupedWeightGradient(x, dy, geometry),
  });
}

/** The kernels load channels by fours: other counts (a stem's 3, odd K) are padded with zeros before and cut off after. */
function narrowed(
  x: Tensor,
  weight: Tensor,
  geometry: Geometry,
  run: (x: Tensor, weight: Tensor, geometry: Geometry) => Tensor,
): Tensor {
  const [R, S, C, K] = weight.shape as [number, number, number, number];
  const extraC = -C & 3;
  const extraK = -K & 3;
  if (extraC === 0 && extraK === 0) return run(x, weight, geometry);
  return scope(() => {
    const wideX = extraC ? pad(x, [[0, 0], [0, 0], [0, 0], [0, extraC]]) : x; // prettier-ignore
    const wideWeight = pad(weight, [[0, 0], [0, 0], [0, extraC], [0, extraK]]); // prettier-ignore
    const [N, P, Q] = geometry.y;
    const y = run(wideX, wideWeight, {
      ...geometry,
      x: [...geometry.x.slice(0, 3), C + extraC] as unknown as Geometry["x"],
      y: [N, P, Q, K + extraK],
      weight: [R, S, C + extraC, K + extraK],
    });
    return extraK ? slice(y, [{}, {}, {}, { end: K }]) : y;
  });
}

function geometryOf(x: Tensor, weight: Tensor, options: Conv2dOptions): Geometry {
  const op = "conv2d";
  check(x.rank === 4, op, () => `x must be [N,H,W,C], got ${showShape(x.shape)}`);
  check(weight.rank === 4, op, () => `weight must be [R,S,C,K], got ${showShape(weight.shape)}`);
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const [R, S, weightC, K] = weight.shape as [number, number, number, number];
  const groups = options.groups ?? 1;
  const [stride, padding, dilation] = [
    pair(options.stride ?? 1),
    pair(options.padding ?? 0),
    pair(options.dilation ?? 1),
  ];
  check(
    groups >= 1 && C % groups === 0 && K % groups === 0,
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
    () => `stride and dilation must be whole numbers from 1`,
  );
  check(
    padding.every((n) => Number.isInteger(n) && n >= 0),
    op,
    () => `padding must be a whole number from 0`,
  );
  const P = windowCount(op, H, R, stride[0], padding[0], dilation[0]);
  const Q = windowCount(op, W, S, stride[1], padding[1], dilation[1]);
  return { x: [N, H, W, C], y: [N, P, Q, K], weight: [R, S, weightC, K], stride, padding, dilation, groups };
}

const pair = (n: number | readonly [number, number]): readonly [number, number] => (typeof n === "number" ? [n, n] : n);
