import { describe, expect, it } from "vitest";
import { parseAugment } from "../../../training/augment-grammar.ts";
import { compose, forwardRotation, invert } from "../../../training/data/affine.ts";
import type { Drawn } from "../../../training/data/augment-draw.ts";
import { Augmentation } from "../../../training/data/augment.ts";
import type { Size } from "../../../engine/index.ts";

const IMAGE: Size = [32, 32];
const make = (text: string, image = IMAGE, output = image): Augmentation =>
  new Augmentation(parseAugment(text), image, output);
const draws = (text: string, count: number): Drawn[] =>
  Array.from({ length: count }, (_, i) => make(text).draw(1, 2, i)[0]);

/** Pearson's statistic over its degrees of freedom: near 1 for fair counts. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0) / (counts.length - 1);
}

describe("replay", () => {
  const augmentation = make("pad-crop:4:reflect,flip,rotate:15,cutout:8:p=0.5");
  it("the same seed, epoch and index draw the same, in any order", () => {
    const forwards = augmentation.records(7, 3, [5, 900, 2]);
    expect(augmentation.records(7, 3, [2, 900, 5]).reverse()).toEqual(forwards);
  });
  it("another seed, epoch or index draws otherwise", () => {
    const indices = Array.from({ length: 64 }, (_, i) => i);
    const base = JSON.stringify(indices.map((i) => augmentation.draw(7, 3, i)));
    expect(JSON.stringify(indices.map((i) => augmentation.draw(8, 3, i)))).not.toBe(base);
    expect(JSON.stringify(indices.map((i) => augmentation.draw(7, 4, i)))).not.toBe(base);
    const distinct = new Set(indices.map((i) => JSON.stringify(augmentation.draw(7, 3, i))));
    // A few of 64 may agree: in one of 32 pairs nothing happens but the same flip, and there are 81 crops.
    expect(distinct.size).toBeGreaterThan(58);
  });
});

describe("distributions", () => {
  it("crop offsets are uniform over all 81 places", () => {
    const counts = new Array<number>(81).fill(0);
    for (const drawn of draws("pad-crop:4", 81 * 400))
      if (drawn.kind === "crop") counts[(drawn.y + 4) * 9 + drawn.x + 4]++;
    // Standard deviation of the statistic is sqrt(2 / 80) = 0.16.
    expect(Math.abs(chiSquare(counts) - 1)).toBeLessThan(0.65);
  });
  it.each([0.2, 0.5, 1])("flips happen with p = %f", (p) => {
    const share = draws(`flip:p=${p}`, 20_000).filter((drawn) => drawn.kind === "flip").length / 20_000;
    expect(Math.abs(share - p)).toBeLessThan(p === 1 ? 1e-9 : 4 * Math.sqrt((p * (1 - p)) / 20_000));
  });
  it("alternating flips take half of the images, and in the next epoch the other half", () => {
    const augmentation = make("flip:alternate");
    const flipped = (epoch: number): boolean[] =>
      Array.from({ length: 4000 }, (_, i) => augmentation.draw(3, epoch, i)[0].kind === "flip");
    const [first, second, third] = [1, 2, 3].map(flipped);
    expect(second).toEqual(first.map((is) => !is));
    expect(third).toEqual(first);
    expect(Math.abs(first.filter(Boolean).length / 4000 - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / 4000));
  });
  it("a hole in a canvas of 64 touches the image in 0.2 (47/49)^2 = 18.4 % of cases, a published recipe's", () => {
    const touching = draws("cutout:16:p=0.2:canvas=64", 40_000).filter((drawn) => {
      if (drawn.kind !== "boxes") return false;
      const [x0, y0, x1, y1] = drawn.boxes[0];
      expect([x1 - x0, y1 - y0]).toEqual([16, 16]);
      return x0 < 32 && y0 < 32 && x1 > 0 && y1 > 0;
    });
    const share = 0.2 * (47 / 49) ** 2;
    expect(Math.abs(touching.length / 40_000 - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / 40_000));
  });
  it("angles are uniform within the limit", () => {
    const counts = new Array<number>(20).fill(0);
    for (const drawn of draws("rotate:30:p=1", 20_000)) {
      if (drawn.kind !== "affine") continue;
      const angle = (Math.atan2(drawn.forward[1], drawn.forward[0]) * 180) / Math.PI;
      counts[Math.floor((angle + 30) / 3)]++;
    }
    expect(counts).toHaveLength(20);
    expect(Math.abs(chiSquare(counts) - 1)).toBeLessThan(1.3);
  });

  /** Mean share of the image that a box covers, and of the corner pixel. */
  function coverage(place: string): { image: number; lowCorner: number; highCorner: number } {
    let [image, lowCorner, highCorner] = [0, 0, 0];
    const all = draws(`cutout:16:place=${place}`, 40_000);
    for (const drawn of all) {
      if (drawn.kind !== "boxes") continue;
      const [x0, y0, x1, y1] = drawn.boxes[0];
      expect(Math.min(x0, y0, 32 - x1, 32 - y1)).toBeGreaterThanOrEqual(0);
      image += ((x1 - x0) * (y1 - y0)) / 1024 / all.length;
      if (x0 === 0 && y0 === 0) lowCorner += 1 / all.length;
      if (x1 === 32 && y1 === 32) highCorner += 1 / all.length;
    }
    return { image, lowCorner, highCorner };
  }
  it("cutout inside covers exactly a quarter, each corner in 1 of 289 images", () => {
    const { image, lowCorner, highCorner } = coverage("inside");
    expect(image).toBeCloseTo(0.25, 9);
    for (const share of [lowCorner, highCorner])
      expect(Math.abs(share - 1 / 289)).toBeLessThan(4 * Math.sqrt(1 / 289 / 40_000));
  });
  it("cutout by its centre is cut off on every side", () => {
    // Along one axis: centres 0..31, lengths min(32, c + 8) - max(0, c - 8).
    const lengths = Array.from({ length: 32 }, (_, c) => Math.min(32, c + 8) - Math.max(0, c - 8));
    const share = lengths.reduce((a, b) => a + b) / 32 / 32;
    const { image, lowCorner, highCorner } = coverage("center");
    expect(Math.abs(image - share ** 2)).toBeLessThan(0.002);
    expect(Math.abs(lowCorner - (9 / 32) ** 2)).toBeLessThan(0.006);
    expect(Math.abs(highCorner - (8 / 32) ** 2)).toBeLessThan(0.006);
  });
  it("cutout clipped keeps its size at the upper left", () => {
    const lengths = Array.from({ length: 33 }, (_, c) => Math.min(32, Math.max(0, c - 8) + 16) - Math.max(0, c - 8));
    const share = lengths.reduce((a, b) => a + b) / 33 / 32;
    const { image, lowCorner } = coverage("clipped");
    expect(Math.abs(image - share ** 2)).toBeLessThan(0.002);
    expect(Math.abs(lowCorner - (9 / 33) ** 2)).toBeLessThan(0.006);
  });
});

describe("rotations", () => {
  it("turn counter-clockwise about the centre for positive angles", () => {
    const [a, b, c, d, e, f] = forwardRotation(3, 3, { angle: 90, scale: 1, shiftX: 0, shiftY: 0 });
    // The middle of the right side goes to the middle of the top.
    expect([a * 2 + b * 1 + c, d * 2 + e * 1 + f].map((v) => Math.round(v * 1e9) / 1e9)).toEqual([1, 0]);
  });
  it("compose into one map", () => {
    const turn = (angle: number): Drawn => ({
      kind: "affine",
      forward: forwardRotation(32, 32, { angle, scale: 1.1, shiftX: 0, shiftY: 0 }),
    });
    const record = make("rotate,rotate").record(0, [turn(10), turn(25)]);
    const want = invert(forwardRotation(32, 32, { angle: 35, scale: 1.21, shiftX: 0, shiftY: 0 }));
    record.affine.forEach((value, i) => expect(value).toBeCloseTo(want[i], 10));
    expect(compose(want, invert(want)).map((v) => Math.abs(Math.round(v * 1e9) / 1e9))).toEqual([1, 0, 0, 0, 1, 0]);
  });
});

it("refuses steps that do not fit, in one line", () => {
  const cases: [string, Size, Size, string][] = [
    ["pad-crop,flip,pad-crop", IMAGE, IMAGE, "augment: pad-crop is given twice"],
    ["rotate,cutout,rotate", IMAGE, IMAGE, "augment: cutout between two rotations"],
    ["cutout:40", IMAGE, IMAGE, "augment: cutout: a square of 40 pixels does not fit into images of 32x32"],
    ["cutout:2:holes=5,cutout:2:holes=4", IMAGE, IMAGE, "augment: at most 8 cutout holes, got 9"],
    ["cutout:canvas=20", IMAGE, IMAGE, "augment: cutout: a canvas of 20 pixels is smaller than images of 32x32"],
    ["flip", IMAGE, [40, 32], "augment: images of 32x32 cannot be cropped to 32x40"],
    ["pad-crop:2", IMAGE, [40, 40], "augment: pad-crop: images of 32x32 padded by 2 are smaller than 40x40"],
  ];
  for (const [text, image, output, message] of cases) expect(() => make(text, image, output)).toThrow(message);
});
