import { type Arr, resolveAxes, sizeOf, strides, unravel, offsetOf } from "./array.ts";

/** `axes` undefined = all of them; negative axes count from the end. */
export interface ReduceOptions {
  axes?: readonly number[];
  keepDims?: boolean;
}

/** Applies `f` to the values that meet in each output element, in row-major order of the reduced axes. */
function reduce(x: Arr, { axes, keepDims = false }: ReduceOptions, f: (values: number[]) => number): Arr {
  const reduced = resolveAxes(x.shape.length, axes);
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !reduced.includes(axis));
  const outer = kept.map((axis) => x.shape[axis]);
  const steps = strides(outer);
  const groups = Array.from({ length: sizeOf(outer) }, (): number[] => []);
  for (let i = 0; i < x.data.length; i++) {
    const index = unravel(i, x.shape);
    const keptIndex = kept.map((axis) => index[axis]);
    groups[offsetOf(keptIndex, steps)].push(x.data[i]);
  }
  const shape = keepDims ? x.shape.map((extent, axis) => (reduced.includes(axis) ? 1 : extent)) : outer;
  return { shape, data: Float64Array.from(groups, f) };
}

const total = (values: number[]): number => values.reduce((acc, value) => acc + value, 0);
const average = (values: number[]): number => total(values) / values.length;

export const sum = (x: Arr, options: ReduceOptions = {}): Arr => reduce(x, options, total);
export const mean = (x: Arr, options: ReduceOptions = {}): Arr => reduce(x, options, average);
export const max = (x: Arr, options: ReduceOptions = {}): Arr =>
  reduce(x, options, (values) => values.reduce((best, value) => Math.max(best, value), -Infinity));

/** Sum of squared deviations / (n - correction): 1 is PyTorch's default (unbiased), 0 the biased variance. */
export function variance(x: Arr, { correction = 1, ...options }: ReduceOptions & { correction?: number } = {}): Arr {
  return reduce(x, options, (values) => {
    const centre = average(values);
    return total(values.map((value) => (value - centre) ** 2)) / (values.length - correction);
  });
}

/** Position of the largest value, counted in row-major order of the reduced axes; of equal ones the first. */
export function argmax(x: Arr, options: ReduceOptions = {}): Arr {
  return reduce(x, options, (values) => {
    let best = 0;
    for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
    return best;
  });
}
