import { describe, expect, it } from "vitest";
import { limit, pixelStatistics, split, splitIndices, subset } from "../../../training/data/dataset.ts";
import type { ImageSet } from "../../../training/data/dataset.ts";

function makeSet(labels: number[]): ImageSet {
  const images = Uint8Array.from({ length: labels.length * 12 }, (_, i) => (i * 29 + (i >> 3)) % 256);
  return {
    count: labels.length,
    height: 2,
    width: 2,
    channels: 3,
    images,
    labels: Uint8Array.from(labels),
    boxes: Int16Array.from({ length: labels.length * 4 }, (_, i) => i),
    paths: labels.map((_, i) => `image-${i}`),
    skipped: 2,
  };
}

const image = (set: ImageSet, i: number): number[] => [...set.images.subarray(i * 12, i * 12 + 12)];

describe("limit", () => {
  const set = makeSet([3, 1, 2, 0, 1]);

  it("keeps the first images with all that belongs to them", () => {
    const few = limit(set, 2);
    expect([few.count, few.images.length, [...few.labels], few.boxes!.length, few.paths]).toEqual([
      2,
      24,
      [3, 1],
      8,
      ["image-0", "image-1"],
    ]);
    expect(image(few, 1)).toEqual(image(set, 1));
    expect(limit(set, 5)).toBe(set);
    expect(limit(set, 900)).toBe(set);
  });

  it("refuses anything but a whole number of at least 1", () => {
    for (const n of [0, -1, 1.5, NaN]) expect(() => limit(set, n)).toThrow(/limit: .* is not a whole number/);
  });
});

describe("subset", () => {
  it("takes images in the order asked for", () => {
    const set = makeSet([3, 1, 2, 0, 1]);
    const some = subset(set, Uint32Array.of(4, 0, 2));
    expect([...some.labels]).toEqual([1, 3, 2]);
    expect([image(some, 0), image(some, 1), image(some, 2)]).toEqual([image(set, 4), image(set, 0), image(set, 2)]);
    expect([...some.boxes!.subarray(0, 4)]).toEqual([16, 17, 18, 19]);
    expect(some.paths).toEqual(["image-4", "image-0", "image-2"]);
  });
});

describe("split", () => {
  const labels = Array.from({ length: 130 }, (_, i) => (i < 100 ? i % 4 : 5));

  it("splits every class by the fraction and loses nothing", () => {
    const { first, second } = splitIndices(labels, 0.8, 1);
    expect([...first, ...second].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i));
    for (const [label, want] of [
      [0, 20],
      [1, 20],
      [2, 20],
      [3, 20],
      [5, 24],
    ]) {
      expect([...first].filter((i) => labels[i] === label).length).toBe(want);
    }
    expect([...first]).toEqual([...first].sort((a, b) => a - b));
  });

  it("is the same for the same seed and another for another", () => {
    expect(splitIndices(labels, 0.8, 1)).toEqual(splitIndices(labels, 0.8, 1));
    expect(splitIndices(labels, 0.8, 2).first).not.toEqual(splitIndices(labels, 0.8, 1).first);
  });

  it("draws every class for itself, not all at the same places", () => {
    const { second } = splitIndices(labels, 0.8, 1);
    const places = (label: number): number[] => [...second].filter((i) => labels[i] === label).map((i) => i >> 2);
    expect(places(0)).not.toEqual(places(1));
  });

  it("leaves at least one image of a class on either side, where there are two", () => {
    const few = splitIndices([0, 0, 1, 1, 1, 2], 0.99, 0);
    expect([...few.second].map((i) => [0, 0, 1, 1, 1, 2][i]).sort()).toEqual([0, 1]);
    expect(splitIndices([0, 0, 1, 1], 0.01, 0).first.length).toBe(2);
  });

  it("gives two sets, and counts the skipped files once", () => {
    const set = makeSet([0, 1, 0, 1, 0, 1, 0, 1]);
    const { first, second } = split(set, 0.5, 3);
    expect([first.count, second.count, first.skipped, second.skipped]).toEqual([4, 4, 2, 0]);
    expect([...first.paths!, ...second.paths!].sort()).toEqual([...set.paths!].sort());
  });

  it("refuses fractions outside 0..1", () => {
    for (const fraction of [0, 1, -0.1, 1.1, NaN]) {
      expect(() => splitIndices(labels, fraction, 0)).toThrow(/split: fraction .* is not between 0 and 1/);
    }
  });
});

describe("pixelStatistics", () => {
  it("is the mean and the deviation of every channel", () => {
    const set = makeSet([0, 1, 2, 1, 0, 1, 2]);
    const { mean, std } = pixelStatistics(set);
    for (let c = 0; c < 3; c++) {
      const values = [...set.images].filter((_, i) => i % 3 === c).map((value) => value / 255);
      const average = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / values.length;
      expect(mean[c]).toBeCloseTo(average, 14);
      expect(std[c]).toBeCloseTo(Math.sqrt(variance), 14);
    }
  });
});
