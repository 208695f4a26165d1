import { describe, expect, it } from "vitest";
import { planPlaces, type Lifetime } from "../../engine/plan.ts";
import { uniforms } from "../support/random.ts";

/** What is in use at the busiest moment: no plan takes less. */
const least = (lifetimes: readonly Lifetime[]): number =>
  Math.max(
    ...lifetimes.map(({ first: at }) =>
      lifetimes.reduce((sum, { size, first, last }) => sum + (first <= at && at <= last ? size : 0), 0),
    ),
  );

const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0);

describe("planPlaces", () => {
  it("never gives one place to two that overlap, nor one that is too small", () => {
    const random = uniforms(5);
    const below = (n: number): number => Math.floor(random() * n);
    for (let round = 0; round < 30; round++) {
      const lifetimes = Array.from({ length: 60 }, () => {
        const first = below(100);
        return { size: 256 * (1 + below(5)), first, last: first + below(20) };
      });
      const { places, sizes } = planPlaces(lifetimes, [512, 1024]);
      expect(sizes.slice(0, 2)).toEqual([512, 1024]);
      lifetimes.forEach((a, i) => {
        expect(sizes[places[i]]).toBeGreaterThanOrEqual(a.size);
        lifetimes.forEach((b, j) => {
          if (j < i && places[i] === places[j]) expect(a.last < b.first || b.last < a.first).toBe(true);
        });
      });
    }
  });

  it("takes the least possible for a network's forward and backward pass", () => {
    // Activation i lives from its layer to that layer's gradient; gradients live for two items.
    const layers = 20;
    const lifetimes = Array.from({ length: layers }, (_, i) => [
      { size: 1024, first: i, last: 2 * layers - i },
      { size: 1024, first: 2 * layers - i, last: 2 * layers - i + 1 },
    ]).flat();
    const { sizes } = planPlaces(lifetimes);
    expect(total(sizes)).toBe(least(lifetimes));
  });

  it("reuses what is there", () => {
    const { places, sizes } = planPlaces([{ size: 300, first: 0, last: 1 }, { size: 900, first: 1, last: 2 }], [1000, 400]); // prettier-ignore
    expect(places).toEqual([1, 0]);
    expect(sizes).toEqual([1000, 400]);
  });
});
