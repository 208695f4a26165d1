import { type Arr, broadcastShape, broadcastStrides, build, map, offsetOf } from "./array.ts";
import { erfc } from "./erf.ts";

type Unary = (x: Arr) => Arr;
const unary = (f: (x: number) => number): Unary => {
  return (x) => map(x, f);
};

/** max(x, 0), letting NaN through as PyTorch does. */
export const relu = unary((x) => (x < 0 ? 0 : x));
export const leakyRelu = (x: Arr, slope = 0.01): Arr => map(x, (v) => (v < 0 ? slope * v : v));
/** x * Phi(x) with the exact normal distribution function: torch's gelu(approximate="none"). */
export const gelu = unary((x) => (x / 2) * erfc(-x / Math.SQRT2));
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
export const sigmoid = unary(logistic);
export const silu = unary((x) => x * logistic(x));
export const tanh = unary(Math.tanh);
export const exp = unary(Math.exp);
export const log = unary(Math.log);
export const sqrt = unary(Math.sqrt);
export const abs = unary(Math.abs);
export const neg = unary((x) => -x);
export const square = unary((x) => x * x);
export const reciprocal = unary((x) => 1 / x);

type Binary = (a: Arr, b: Arr) => Arr;
/** NumPy broadcasting: shapes aligned at the right, extents of 1 stretched. */
const binary = (f: (a: number, b: number) => number): Binary => {
  return (a, b) => {
    const shape = broadcastShape(a.shape, b.shape);
    const aSteps = broadcastStrides(a.shape, shape);
    const bSteps = broadcastStrides(b.shape, shape);
    return build(shape, (index) => f(a.data[offsetOf(index, aSteps)], b.data[offsetOf(index, bSteps)]));
  };
};

export const add = binary((a, b) => a + b);
export const sub = binary((a, b) => a - b);
export const mul = binary((a, b) => a * b);
export const div = binary((a, b) => a / b);
/** NaN if either is NaN, as torch.maximum. */
export const maximum = binary(Math.max);
export const minimum = binary(Math.min);
export const pow = binary(Math.pow);

/** Kept elements are scaled by 1 / (1 - rate) so that the expectation stays; `mask` holds 1 for kept and 0 for dropped. */
export const dropout = (x: Arr, mask: Arr, rate: number): Arr => map(x, (v, i) => (v * mask.data[i]) / (1 - rate));
