// The tools of the other tests: random inputs, numeric gradients and the one tolerance rule.
import { describe, expect, it } from "vitest";
import { type Arr, fromFlat, map } from "./reference/array.ts";
import * as elementwise from "./reference/elementwise.ts";
import { reshape } from "./reference/moves.ts";
import { mean } from "./reference/reduce.ts";
import { flat } from "./support/closed-form.ts";
import {
  numericGradient,
  pick,
  randomApart,
  randomAwayFromKinks,
  type Reference,
  sampledGradient,
  seedAwayFromZero,
} from "./support/gradient.ts";
import { randomArr, randomInts, uniforms } from "./support/random.ts";
import { allowedDifferences, EPS32, expectClose, tolerance } from "./support/tolerance.ts";

describe("test support", () => {
  it("random values repeat with the seed, are float32, in range, never zero and spread out", () => {
    const a = randomArr([1000], 1);
    expect(a).toEqual(randomArr([1000], 1));
    expect(a.data.every((v) => v === Math.fround(v) && v !== 0 && v >= -1 && v < 1)).toBe(true);
    expect(Math.abs(mean(a).data[0])).toBeLessThan(0.06); // 3 sigma of 1000 uniforms
    expect(a.data.filter((v, i) => v === randomArr([1000], 2).data[i])).toHaveLength(0);
    const ints = randomInts(600, 3, { min: 2, max: 5 });
    for (const value of [2, 3, 4]) expect(ints.filter((i) => i === value).length).toBeGreaterThan(150);
    expect(ints.every((i) => [2, 3, 4].includes(i))).toBe(true);
    expect(uniforms(1)()).not.toBe(uniforms(2)());
  });
  it("values drawn apart are apart from each other and from the kinks", () => {
    const drawn = randomApart([[200], [3, 50]], 1, { kinks: [0, 0.5] });
    const sorted = [...drawn[0].data, ...drawn[1].data, 0, 0.5].sort((a, b) => a - b);
    const gaps = sorted.slice(1).map((value, i) => value - sorted[i]);
    expect(Math.min(...gaps)).toBeGreaterThan(4e-5);
    expect(sorted[0]).toBeGreaterThanOrEqual(-1);
    expect(sorted.at(-1)).toBeLessThan(1);
    expect(() => randomAwayFromKinks([100000], 1)).toThrow("widen the range");
    const clear = seedAwayFromZero((seed) => randomArr([100], seed), 1, 1e-3);
    expect(randomArr([100], clear).data.every((value) => Math.abs(value) > 1e-3)).toBe(true);
  });
  it("a sampled gradient is the full one at its indices", () => {
    const x = randomArr([50], 4);
    const dy = randomArr([50], 5);
    const f: Reference = ([a]) => elementwise.square(a);
    const sampled = sampledGradient(f, [x], 0, dy, { count: 7, seed: 6 });
    expect(sampled.indices.length).toBeGreaterThanOrEqual(7);
    expect(sampled.indices[0]).toBe(0);
    expect(sampled.indices.at(-1)).toBe(49);
    expect(pick(numericGradient(f, [x], 0, dy).data, sampled.indices)).toEqual(sampled.data);
    expect(() => numericGradient(f, [x], 0, flat(1, 2))).toThrow("does not fit");
  });

  const how = { op: "op", shapes: { x: [2, 3] }, options: { stride: 2 }, terms: 4 };
  const want = fromFlat([2, 3], [1, -2, 3, 4, -5, 8]);
  const nudged = (by: number, at = 4): Arr => map(want, (v, i) => (i === at ? v + by : v));
  it("the tolerance is eps sqrt(K) of the scale: inside passes, outside fails", () => {
    const allowed = tolerance({ terms: 4, scale: 8 });
    expect(allowed).toBe(2 * EPS32 * 2 * 8);
    expectClose(nudged(0.99 * allowed), want, how);
    expect(() => expectClose(nudged(1.01 * allowed), want, how)).toThrow(
      /^op x \[2,3\] \{"stride":2\}: 1 of 6 .*\n.*\[1,1\]/,
    );
    expect(() => expectClose(want.data.subarray(1), want, how)).toThrow("got 5 values, want 6");
    expect(() => expectClose(reshape(want, [3, 2]), want, how)).toThrow("got shape [3,2]");
    expect(() => expectClose(want, want, { op: "op", shapes: {} })).toThrow("terms");
  });
  it("exact kinds allow nothing, element kinds are relative to each element", () => {
    expectClose(want, want, { ...how, kind: "exact" });
    expect(() => expectClose(nudged(EPS32), want, { ...how, kind: "exact" })).toThrow("1 of 6");
    const allowed = allowedDifferences(want, { ...how, kind: ["add", "div"] });
    expect(Math.round(allowed[5] / allowed[0])).toBe(8);
    const numeric = { ...want, uncertainty: EPS32 };
    expectClose(nudged(EPS32 / 2), numeric, { ...how, kind: "exact" });
    expect(() => expectClose(want, want, { ...how, kind: "softmax" })).toThrow("at");
  });
  it("NaN and infinities must match", () => {
    const odd = flat(NaN, Infinity, -Infinity, 1e300);
    expectClose(flat(NaN, Infinity, -Infinity, Infinity), odd, how);
    for (const got of [flat(0, Infinity, -Infinity, Infinity), flat(NaN, NaN, -Infinity, Infinity)]) {
      expect(() => expectClose(got, odd, how)).toThrow("1 of 4");
    }
    expect(() => expectClose(nudged(NaN), want, how)).toThrow("got NaN");
  });
});
