import { type Arr, sizeOf, zeros } from "../reference/array.ts";
import { type Range, randomPermutation, uniforms } from "./random.ts";

/** Relative step of the central differences: near the cube root of 2^-52, where truncation and rounding balance. */
const STEP = 1e-5;
/** What central differences of a smooth function lose, relative to the largest gradient element (far below float32's 2^-23). */
const DIFFERENCE_ERROR = 2 ** -30;

export type Reference = (inputs: Arr[]) => Arr;

/** A numeric gradient knows how inexact it is; `expectClose` adds `uncertainty` (absolute) to what it allows. */
export interface NumericGradient extends Arr {
  uncertainty: number;
}

/** Gradient elements at a few flat positions of a large input: `data[i]` belongs to position `indices[i]`. */
export interface SampledGradient extends NumericGradient {
  indices: number[];
}

function withUncertainty(g: Arr): NumericGradient {
  const largest = g.data.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  return { ...g, uncertainty: DIFFERENCE_ERROR * largest };
}

/** d(sum dy * f)/d(inputs[which][position]). Outputs that the element does not reach cancel exactly, so they add no noise. */
function differenceAt(f: Reference, inputs: Arr[], which: number, position: number, dy: Arr): number {
  const moved: Arr = { shape: inputs[which].shape, data: inputs[which].data.slice() };
  const args = inputs.map((input, i) => (i === which ? moved : input));
  const value = moved.data[position];
  const h = STEP * Math.max(1, Math.abs(value));
  const above = value + h;
  const below = value - h;
  moved.data[position] = above;
  const high = f(args);
  moved.data[position] = below;
  const low = f(args);
  if (high.data.length !== dy.data.length) {
    throw new Error(`numericGradient: dy [${dy.shape.join(",")}] does not fit y [${high.shape.join(",")}]`);
  }
  let total = 0;
  for (let i = 0; i < dy.data.length; i++) total += dy.data[i] * (high.data[i] - low.data[i]);
  return total / (above - below);
}

/**
 * The gradient of sum(dy * f(inputs)) by inputs[which], by float64 central differences: two evaluations of `f` an element.
 * `f` must not change its inputs. Keep them away from kinks (`randomAwayFromKinks`) and from poles (log near 0).
 */
export function numericGradient(f: Reference, inputs: Arr[], which: number, dy: Arr): NumericGradient {
  const g = zeros(inputs[which].shape);
  for (let i = 0; i < g.data.length; i++) g.data[i] = differenceAt(f, inputs, which, i, dy);
  return withUncertainty(g);
}

/** `numericGradient` at `count` random positions, always with the first and the last: compare with `pick(got, indices)`. */
export function sampledGradient(
  f: Reference,
  inputs: Arr[],
  which: number,
  dy: Arr,
  { count, seed }: { count: number; seed: number },
): SampledGradient {
  const size = inputs[which].data.length;
  const chosen = new Set([0, size - 1, ...randomPermutation(size, seed)].slice(0, count + 2));
  const indices = [...chosen].sort((a, b) => a - b);
  const data = Float64Array.from(indices, (i) => differenceAt(f, inputs, which, i, dy));
  return { ...withUncertainty({ shape: [data.length], data }), indices };
}

/** The elements of `values` at flat positions `indices`. */
export function pick(values: ArrayLike<number>, indices: readonly number[]): Float64Array {
  return Float64Array.from(indices, (i) => values[i]);
}

export interface KinkOptions extends Range {
  /** Where the function is not smooth: 0 for relu and abs. */
  kinks?: readonly number[];
}

/**
 * Random float32 values of several inputs, no two of which (over all the inputs) are nearer than the differences' step needs, nor
 * near a kink: for relu, abs, max, maximum, max-pooling. They are a shuffled, jittered grid over [min, max).
 */
export function randomApart(shapes: readonly (readonly number[])[], seed: number, options: KinkOptions = {}): Arr[] {
  const { min = -1, max = 1, kinks = [0] } = options;
  const count = shapes.reduce((total, shape) => total + sizeOf(shape), 0);
  const cell = (max - min) / (count + kinks.length * 2 + 2);
  const clear = 8 * STEP * Math.max(1, Math.abs(min), Math.abs(max));
  if (cell < 2 * clear)
    throw new Error(`randomApart: ${count} values do not fit into [${min}, ${max}); widen the range`);
  const next = uniforms(seed);
  const values: number[] = [];
  for (let at = min + cell / 2; values.length < count; at += cell) {
    // Each kink takes at most two cells of the grid, for which the surplus was left.
    if (kinks.every((kink) => Math.abs(at - kink) >= cell / 2 + clear)) {
      values.push(Math.fround(at + (next() - 0.5) * (cell - clear)));
    }
  }
  const order = randomPermutation(count, seed + 1);
  let taken = 0;
  return shapes.map((shape) => {
    const data = Float64Array.from({ length: sizeOf(shape) }, () => values[order[taken++]]);
    return { shape: [...shape], data };
  });
}

export function randomAwayFromKinks(shape: readonly number[], seed: number, options: KinkOptions = {}): Arr {
  return randomApart([shape], seed, options)[0];
}

/**
 * The first seed from `seed` on for which every value of `preactivation(seed)` is clear of 0: for a relu behind another op
 * (batch norm + add + relu), where the inputs cannot be drawn apart directly. Float32 rounding then cannot flip a sign either.
 */
export function seedAwayFromZero(preactivation: (seed: number) => Arr, seed: number, clear = 100 * STEP): number {
  for (let attempt = seed; attempt < seed + 1000; attempt++) {
    if (preactivation(attempt).data.every((value) => Math.abs(value) > clear)) return attempt;
  }
  throw new Error(`seedAwayFromZero: no seed in ${seed}..${seed + 999}; use a smaller shape`);
}
