// Reductions over any axes: shape rules and gradients. How the kernels are run: reduce-axes.ts.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable, noGrad } from "../autograd.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, check, normalizeAxes, normalizeAxis, showShape, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { equal, div, mul, sub } from "./binary.ts";
import { throughSingle } from "./cast.ts";
import { reduceAxes } from "./reduce-axes.ts";
import { scale, square } from "./unary.ts";
import { broadcastTo } from "./view.ts";

export interface ReduceOptions {
  /** Axes to reduce, negative ones counted from the end. Default: all. */
  readonly axes?: number | readonly number[] | undefined;
  /** Keeps reduced axes with extent 1. Default false. */
  readonly keepDims?: boolean | undefined;
}

/** Shapes of a reduction: with reduced extents as 1, as asked for, and how many elements become one. */
function plan(op: string, x: Tensor, { axes, keepDims = false }: ReduceOptions) {
  const reduced = normalizeAxes(op, x.rank, axes);
  const kept = x.shape.map((extent, axis) => (reduced.includes(axis) ? 1 : extent));
  const shape = keepDims ? kept : kept.filter((_, axis) => !reduced.includes(axis));
  return { axes: reduced, kept, shape, count: sizeOf(reduced.map((axis) => x.shape[axis])) };
}

/** Sum of the elements along `axes`. An empty sum is 0. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, kept, shape } = plan("sum", x, options);
  const y = reduceAxes("sum", x, axes, shape, 1);
  return differentiable("sum", { x }, y, { x: (dy) => broadcastTo(dy.view(kept), x.shape) });
}

/** Mean of the elements along `axes`. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, kept, shape, count } = plan("mean", x, options);
  check(x.size > 0, "mean", () => `${showShape(x.shape)} has no elements`);
  const y = reduceAxes("sum", x, axes, shape, 1 / count);
  return differentiable("mean", { x }, y, { x: (dy) => broadcastTo(scale(dy, 1 / count).view(kept), x.shape) });
}

function extreme(how: "max" | "min", x: Tensor, options: ReduceOptions): Tensor {
  const { axes, kept, shape } = plan(how, x, options);
  check(x.size > 0, how, () => `${showShape(x.shape)} has no elements`);
  const y = reduceAxes(how, x, axes, shape, 1);
  return differentiable(how, { x }, y, {
    x: (dy) => {
      const chosen = equal(x, y.view(kept));
      return mul(chosen, div(dy.view(kept), sum(chosen, { axes, keepDims: true })));
    },
  });
}

/** Largest element along `axes`, NaN where one is. Equal ones share the gradient evenly, as in PyTorch's amax. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => extreme("max", x, options);
/** Smallest element along `axes`, NaN where one is. Equal ones share the gradient evenly, as in PyTorch's amin. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => extreme("min", x, options);

/**
 * Sum of squared deviations from the mean along `axes`, divided by count - correction: 1 (the default, as in PyTorch) estimates
 * the variance of what x is a sample of, 0 is the variance of x itself. Two passes, so large means cost no digits.
 */
export function variance(x: Tensor, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
  const { correction = 1 } = options;
  // Squares overflow early in f16.
  if (x.dtype === "f16") return throughSingle(x, (wide) => variance(wide, options));
  const { axes, kept, shape, count } = plan("variance", x, options);
  check(count > correction, "variance", () => {
    return `axes ${showShape(axes)} of ${showShape(x.shape)} hold ${count} elements, needs more than the correction ${correction}`;
  });
  const deviations = (): Tensor => sub(x, mean(x, { axes, keepDims: true }));
  const y = noGrad(() => scope(() => reduceAxes("sum", square(deviations()), axes, shape, 1 / (count - correction))));
  // The deviations' own mean is zero, so the gradient through it is zero too.
  return differentiable("variance", { x }, y, {
    x: (dy) => mul(deviations(), scale(dy.view(kept), 2 / (count - correction))),
  });
}

/**
 * Position (u32) of the largest element along `axis`; of equal ones the first, and NaN before all, as in PyTorch. Without `axis` the position in all of x, in
 * row-major order. No gradient.
 */
export function argmax(x: Tensor, axis?: number, options: { readonly keepDims?: boolean } = {}): Tensor {
  check(x.dtype === "f32" && x.size > 0, "argmax", () => `needs an f32 tensor with elements, got ${x.toString()}`);
  const along = axis === undefined ? null : normalizeAxis("argmax", x.rank, axis);
  const { shape, count } = plan("argmax", x, { axes: along ?? undefined, keepDims: options.keepDims });
  const inner = along === null ? 1 : sizeOf(x.shape.slice(along + 1));
  const y = empty(shape, "u32");
  launch(kernels.reduce.argmax, {
    bindings: { x, y },
    params: { size: y.size, reduced: count, inner },
    workgroups: ceilDiv(y.size, 64),
  });
  return y;
}
