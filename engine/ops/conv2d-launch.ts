// The three passes of conv2d in terms of the kernels: one of three families by adapter, and Winograd's algorithm where it is faster.
import { currentDevice } from "../current.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type DType, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { cast } from "./cast.ts";
import {
  NO_TRANSFORMS,
  turnWeights,
  convolutionFlops,
  type Forward,
  type Gather,
  type Geometry,
  type Keep,
} from "./conv2d-geometry.ts";
import { gatherMatrix, usesMatrices, weightGradientMatrix } from "./conv2d-matrix.ts";
import { gatherPortable, weightGradientPortable } from "./conv2d-portable.ts";
import { gatherSubgroup, weightGradientSubgroup } from "./conv2d-subgroup.ts";
import { winogradTile, winogradTiles, type WinogradTile } from "./conv2d-winograd-choice.ts";
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "./conv2d-winograd.ts";
import { gatherWorkgroup, weightGradientWorkgroup } from "./conv2d-workgroup.ts";

type Algorithm = "direct" | "winograd2" | "winograd4";

/** Winograd's tile for this convolution, or null for the direct kernels: as measured on this device, else by estimate. */
function algorithm(g: Geometry, dtype: DType): WinogradTile | null {
  const device = currentDevice();
  const estimated = winogradTile(g);
  const tiles = winogradTiles(g);
  if (device.winograd !== true || tiles.length === 0) return estimated;
  const fixed: Algorithm = estimated ? `winograd${estimated}` : "direct";
  const variant = device.choices.choose<Algorithm>({
    op: "conv2d",
    shape: `${g.x.join("x")} ${g.weight.join("x")} +${g.padding.join("+")}${dtype === "f16" ? " f16" : ""}`,
    variants: ["direct", ...tiles.map((tile) => `winograd${tile}` as const)],
    fixed,
    flops: convolutionFlops(g),
    inputs: [
      { shape: g.x, dtype },
      { shape: g.weight, dtype: "f32" },
      { shape: g.y, dtype },
    ],
    run: (variant, [x, weight, dy]) => void allPasses(variant, x, weight, dy, g),
  });
  return variant === "direct" ? null : variant === "winograd2" ? 2 : 4;
}

/** Forward pass and both gradients, for measuring: a layer uses one algorithm for all, since they share the transformed x. */
function allPasses(variant: Algorithm, x: Tensor, weight: Tensor, dy: Tensor, g: Geometry): void {
  const device = currentDevice();
  const before = device.winograd;
  device.winograd = variant === "direct" ? false : variant === "winograd2" ? 2 : 4;
  try {
    const { kept } = forward(x, weight, g, false, { x: true, weight: true });
    inputGradient(dy, weight, g, kept.weight, null);
    weightGradient(x, dy, g, kept.x, null);
  } finally {
    device.winograd = before;
  }
}

/** Whether the subgroup matrices compute this pass: they multiply f16 alone, and the tensors say whether that is wanted. */
const inMatrices = (x: Tensor, g: Geometry): boolean => x.dtype === "f16" && usesMatrices(g);

export function forward(x: Tensor, weight: Tensor, g: Geometry, stats: boolean, keep: Keep): Forward {
  const matrices = inMatrices(x, g);
  const tile = matrices ? null : algorithm(g, x.dtype);
  if (tile) return winogradForward(x, weight, g, tile, stats, keep);
  const y = empty(g.y, x.dtype);
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
  const factors = matrices ? cast(weight, "f16") : weight;
  return { y, partials: runGather(x, factors, y, gather, stats), kept: NO_TRANSFORMS };
}

/**
 * dx: the convolution of dy with the weights turned around. With a stride, the pixels of x fall into stride x stride phases
 * that each see their own taps; one dispatch per phase then wastes nothing on the others.
 *
 * @param kept the weights' transform, where `forward` kept it
 * @param sum a gradient of x that it may be added to in place: then the result is this tensor
 */
export function inputGradient(
  dy: Tensor,
  weight: Tensor,
  g: Geometry,
  kept: Tensor | null,
  sum: Tensor | null,
): Tensor {
  return scope(() => {
    const matrices = inMatrices(dy, g);
    const tile = matrices ? null : algorithm(g, dy.dtype);
    if (tile) return winogradInputGradient(dy, weight, g, tile, kept, sum);
    const factors = turnWeights(weight, g, matrices ? "f16" : "f32");
    const adds = sum !== null;
    const dx = sum ?? empty(g.x, dy.dtype);
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
          adds,
        };
        if (adds && seesNothing(gather)) continue;
        runGather(dy, factors, dx, gather, false);
      }
    }
    return dx;
  });
}

/** Whether no tap falls on a pixel of dy: three of four phases of a 1 x 1 convolution with stride 2. */
function seesNothing({ taps, origin, spacing, divisor }: Gather): boolean {
  const hit = (axis: 0 | 1): boolean =>
    Array.from({ length: taps[axis] }, (_, tap) => origin[axis] + tap * spacing[axis]).some(
      (at) => at % divisor[axis] === 0,
    );
  return !(hit(0) && hit(1));
}

/**
 * dweight [R,S,C,K]: a sum over all output pixels, split so that enough workgroups run, then added in fixed order.
 *
 * @param kept x's transform, where `forward` kept it
 * @param into where it is wanted: the result may lie there, and need not
 */
export function weightGradient(x: Tensor, dy: Tensor, g: Geometry, kept: Tensor | null, into: Tensor | null): Tensor {
  return scope(() => {
    if (inMatrices(dy, g)) return weightGradientMatrix(x, dy, g, undefined, into);
    const tile = algorithm(g, dy.dtype);
    if (tile) return winogradWeightGradient(x, dy, g, tile, kept, into);
    const family = currentDevice().family;
    if (family === "workgroup") return weightGradientWorkgroup(x, dy, g, undefined, into);
    if (family === "portable") return weightGradientPortable(x, dy, g, into);
    return weightGradientSubgroup(x, dy, g, into);
  });
}

function runGather(x: Tensor, weight: Tensor, y: Tensor, gather: Gather, stats: boolean): BatchNormPartials | null {
  if (weight.dtype === "f16") return gatherMatrix(x, weight, y, gather, stats);
  const family = currentDevice().family;
  if (family === "workgroup") return gatherWorkgroup(x, weight, y, gather, stats);
  if (family === "portable") return gatherPortable(x, weight, y, gather);
  return gatherSubgroup(x, weight, y, gather, stats);
}
