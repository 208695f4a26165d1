import { describe, expect, it } from "vitest";
import type { ImageSet } from "../../../training/data/dataset.ts";
import { shapes } from "../../../training/data/shapes.ts";

const made = shapes(0);
const { train, test, classes } = made;

/** Mean colour of one image, 0..255. */
function meanColour(set: ImageSet, i: number): number[] {
  const sums = [0, 0, 0];
  for (let at = 0; at < 3072; at++) sums[at % 3] += set.images[i * 3072 + at];
  return sums.map((sum) => sum / 1024);
}

const luminance = (set: ImageSet, i: number, x: number, y: number): number => {
  const at = ((i * 32 + y) * 32 + x) * 3;
  return 0.299 * set.images[at] + 0.587 * set.images[at + 1] + 0.114 * set.images[at + 2];
};

describe("shapes", () => {
  it("is 5,000 + 1,000 images of 32 x 32 with ten classes in turn", () => {
    expect([train.count, test.count, classes.length, new Set(classes).size]).toEqual([5000, 1000, 10, 10]);
    expect([train.images.length, train.boxes!.length]).toEqual([5000 * 3072, 20_000]);
    expect([...train.labels].every((label, i) => label === i % 10)).toBe(true);
    expect([...test.labels].every((label, i) => label === i % 10)).toBe(true);
  });

  it("draws the first ones alone, the same for the same seed, others for another", () => {
    const few = shapes(0, { train: 23, test: 7 });
    expect([few.train.count, few.test.count]).toEqual([23, 7]);
    expect(Buffer.compare(few.train.images, train.images.subarray(0, 23 * 3072))).toBe(0);
    expect(Buffer.compare(few.test.images, test.images.subarray(0, 7 * 3072))).toBe(0);
    expect(few.test.boxes).toEqual(test.boxes!.subarray(0, 28));
    expect(Buffer.compare(shapes(1, { train: 0, test: 7 }).test.images, few.test.images)).not.toBe(0);
    expect(shapes(0, { train: 0, test: 1001 }).test.count).toBe(1000);
  });

  it("repeats no image, neither within nor across training and test", () => {
    const seen = new Set<string>();
    for (const set of [train, test]) {
      for (let i = 0; i < set.count; i++)
        seen.add(Buffer.from(set.images.subarray(i * 3072, i * 3072 + 300)).toString("latin1"));
    }
    expect(seen.size).toBe(6000);
  });

  it("boxes lie in the image and vary in place and size", () => {
    const widths = new Set<number>();
    const corners = new Set<string>();
    for (let i = 0; i < train.count; i++) {
      const [x0, y0, x1, y1] = train.boxes!.subarray(i * 4, i * 4 + 4);
      expect(x0 >= 0 && y0 >= 0 && x1 <= 32 && y1 <= 32 && x1 - x0 >= 4 && y1 - y0 >= 4 && x1 - x0 <= 25).toBe(true);
      widths.add(x1 - x0);
      corners.add(`${x0},${y0}`);
    }
    expect(widths.size).toBeGreaterThan(15);
    expect(corners.size).toBeGreaterThan(200);
  });

  it("draws the object in its box: it is lighter in there than anywhere round it", () => {
    let lighter = 0;
    for (let i = 0; i < test.count; i++) {
      const [x0, y0, x1, y1] = test.boxes!.subarray(i * 4, i * 4 + 4);
      const [inside, outside]: [number[], number[]] = [[], []];
      for (let y = 0; y < 32; y++) {
        for (let x = 0; x < 32; x++) {
          (x >= x0 && x < x1 && y >= y0 && y < y1 ? inside : outside).push(luminance(test, i, x, y));
        }
      }
      const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
      if (mean(inside) > mean(outside) + 8) lighter += 1;
    }
    expect(lighter).toBeGreaterThan(970);
  });

  it("has tight boxes: every side of the box is touched by the object", () => {
    // A circle fills its box: the middle of each side is light, what lies two pixels beyond is not.
    let touching = 0;
    let circles = 0;
    for (let i = 0; i < train.count; i += 10) {
      const [x0, y0, x1, y1] = train.boxes!.subarray(i * 4, i * 4 + 4);
      if (x0 < 3 || x1 > 29) continue;
      const [mx, my] = [(x0 + x1) >> 1, (y0 + y1) >> 1];
      const middle = luminance(train, i, mx, my);
      circles += 1;
      const left = luminance(train, i, x0 + 1, my) - luminance(train, i, x0 - 2, my);
      const right = luminance(train, i, x1 - 2, my) - luminance(train, i, x1 + 1, my);
      if (left > 20 && right > 20 && middle > luminance(train, i, x0 - 2, my)) touching += 1;
    }
    expect(circles).toBeGreaterThan(100);
    expect(touching / circles).toBeGreaterThan(0.8);
  });

  it("cannot be told by colour: the nearest class by mean colour is right about one time in ten", () => {
    const centres = classes.map((_, label) => {
      const sums = [0, 0, 0];
      for (let i = label; i < train.count; i += 10)
        meanColour(train, i).forEach((value, c) => (sums[c] += value / 500));
      return sums;
    });
    let right = 0;
    for (let i = 0; i < test.count; i++) {
      const colour = meanColour(test, i);
      const far = centres.map((centre) => centre.reduce((sum, value, c) => sum + (value - colour[c]) ** 2, 0));
      if (far.indexOf(Math.min(...far)) === test.labels[i]) right += 1;
    }
    expect(right / test.count).toBeLessThan(0.2);
  });
});
