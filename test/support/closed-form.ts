import { expect } from "vitest";
import { type Arr, fromFlat } from "../reference/array.ts";
import { numericGradient, type Reference } from "./gradient.ts";
import { randomArr } from "./random.ts";

/** A vector. */
export const flat = (...values: number[]): Arr => fromFlat([values.length], values);

/** Equal but for a few float64 roundings of the largest value. */
export function same(got: Arr, want: Arr): void {
  expect(got.shape).toEqual(want.shape);
  const largest = want.data.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  const worst = got.data.reduce((best, value, i) => Math.max(best, Math.abs(value - want.data[i])), 0);
  expect(worst).toBeLessThanOrEqual(64 * Number.EPSILON * largest);
}

/** The closed form against central differences, within what the differences say they lose. */
export function checkGradient(f: Reference, inputs: Arr[], which: number, closed: (dy: Arr) => Arr): void {
  const dy = randomArr(f(inputs).shape, 99);
  const numeric = numericGradient(f, inputs, which, dy);
  const want = closed(dy);
  expect(numeric.shape).toEqual(want.shape);
  expect(numeric.data.some((value) => value !== 0)).toBe(true);
  numeric.data.forEach((value, i) => expect(Math.abs(value - want.data[i])).toBeLessThanOrEqual(numeric.uncertainty));
}
