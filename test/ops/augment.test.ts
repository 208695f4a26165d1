import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  centerLayout,
  centerRecords,
  gatherImages,
  gatherLabels,
  uploadImages,
  type Border,
  type ImageWindows,
  type Size,
} from "../../engine/index.ts";
import { parseAugment } from "../../training/augment-grammar.ts";
import { Augmentation } from "../../training/data/augment.ts";
import { applyStep, borderIndex, cropCenter, picture, type Picture } from "../reference/augment.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomInts } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

const mean = [0.49, 0.48, 0.45];
const std = [0.25, 0.24, 0.26];
const f = Math.fround;
const mean255 = mean.map((m) => f(m * 255));
const scale = std.map((s) => f(1 / (255 * s)));
/** With these the output is the pixel value itself. */
const raw = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };

const COUNT = 11;
const SIZES: Size[] = [
  [8, 8],
  [5, 7],
];
const bytes = SIZES.map(([h, w], i) => Uint8Array.from(randomInts(COUNT * h * w * 3, 7 + i, { min: 0, max: 256 })));
let sets: ImageWindows[];

beforeAll(async () => {
  await testDevice();
  sets = SIZES.map(([height, width], i) => uploadImages(bytes[i], { height, width, windowBytes: 512 }));
});
afterAll(() => sets.forEach((set) => set.dispose()));

const original = (which: number, index: number): Picture => {
  const [height, width] = SIZES[which];
  const first = index * height * width * 3;
  return picture(height, width, (y, x, c) => bytes[which][first + (y * width + x) * 3 + c]);
};

/** The steps one after the other on the CPU, then normalised as the kernel does it. */
function reference(
  which: number,
  augmentation: Augmentation,
  seed: number,
  indices: number[],
  exact: boolean,
): Float64Array {
  const images = indices.map((index) => {
    const drawn = augmentation.draw(seed, 1, index);
    const done = augmentation.steps.reduce(
      (image, step, i) => applyStep(image, step, drawn[i], mean255),
      original(which, index),
    );
    const { data } = cropCenter(done, ...augmentation.output);
    return data.map((v, i) => (exact ? f(f(v - mean255[i % 3]) * scale[i % 3]) : (v - mean255[i % 3]) * scale[i % 3]));
  });
  return Float64Array.from(images.flatMap((data) => [...data]));
}

const BORDERS: Border[] = ["constant", "edge", "reflect", "reflect101"];

describe("whole-pixel steps are exact", () => {
  const lists = [
    ...BORDERS.map((border) => `pad-crop:3:${border}:fill=17`),
    ...BORDERS.map((border) => `pad-crop:11:${border}:fill=mean`),
    "flip:p=1",
    "vflip:p=1",
    "flip,vflip",
    "flip,pad-crop:2:reflect,vflip",
    "pad-crop:4:reflect101,flip,cutout:3:p=0.7:fill=200",
    "cutout:3:fill=200,flip,pad-crop:3:reflect",
    "vflip,cutout:4:fill=mean:place=center,flip,pad-crop:2:edge,vflip",
    "flip,pad-crop:2:fill=9,cutout:4:fill=100:place=clipped,vflip,cutout:2:fill=mean:holes=3,flip",
  ];
  it.each(lists)("%s", async (text) => {
    for (const [which, size] of SIZES.entries()) {
      for (const output of [size, [4, 5]] satisfies Size[]) {
        const augmentation = new Augmentation(parseAugment(text), size, output);
        const indices = Array.from({ length: 24 }, (_, i) => (i * 5) % COUNT);
        const records = augmentation.records(3, 1, indices);
        const y = gatherImages(sets[which], records, { layout: augmentation.layout, mean, std });
        expect(y.shape).toEqual([24, ...output, 3]);
        expectClose(await y.data(), reference(which, augmentation, 3, indices, true), {
          op: "gatherImages",
          shapes: { images: size, y: y.shape },
          options: text,
          kind: "exact",
          shape: y.shape,
        });
        y.dispose();
      }
    }
  });
});

describe("rotation and scaling follow the float64 reference", () => {
  const lists = [
    ...BORDERS.map((border) => `rotate:40:p=1:${border}:fill=60`),
    ...BORDERS.map((border) => `shift-scale-rotate:p=1:${border}:fill=mean`),
    "shift-scale-rotate:shift=0.5:scale=0.9:rotate=180",
    "pad-crop:3:edge,flip,rotate:30:p=1:constant:fill=100",
    "rotate:30:p=1:reflect,vflip,pad-crop:3:reflect",
    "cutout:3:fill=250,flip,pad-crop:2:reflect,cutout:2:fill=0,vflip,rotate:90:p=0.8:edge,flip,cutout:3:fill=128,pad-crop:2:fill=7,cutout:2:fill=33,flip",
  ];
  it.each(lists)("%s", async (text) => {
    for (const [which, size] of SIZES.entries()) {
      const augmentation = new Augmentation(parseAugment(text), size);
      const indices = Array.from({ length: 24 }, (_, i) => (i * 5) % COUNT);
      const y = gatherImages(sets[which], augmentation.records(5, 1, indices), {
        layout: augmentation.layout,
        mean,
        std,
      });
      const got = await y.data();
      // Coordinates of up to 32 pixels are off by some roundings; one pixel further the value may differ by the whole range.
      const how = { kind: ["add", "add", "add", "add"] as const, scale: 32 * 255 * Math.max(...scale), shape: y.shape };
      const want = reference(which, augmentation, 5, indices, false);
      expectClose(got, want, { op: "gatherImages", shapes: { images: size }, options: text, ...how });
      y.dispose();
    }
  });

  it("a rotation that does not happen leaves every bit as it is", async () => {
    const augmentation = new Augmentation(parseAugment("rotate:40:p=0"), SIZES[0]);
    const y = gatherImages(sets[0], augmentation.records(1, 1, [0, 4, 10]), { layout: augmentation.layout, mean, std });
    expect([...(await y.data())]).toEqual([...reference(0, augmentation, 1, [0, 4, 10], true)]);
    y.dispose();
  });
});

it("centerRecords crop the middle", async () => {
  const output: Size = [3, 4];
  const y = gatherImages(sets[1], centerRecords([2], SIZES[1], output), {
    layout: centerLayout(SIZES[1], output),
    ...raw,
  });
  expect([...(await y.data())]).toEqual([...cropCenter(original(1, 2), 3, 4).data]);
  expect(() => centerLayout([4, 4], [5, 4])).toThrow("images of 4x4 have no centre of 4x5");
});

it("50,000 images in two windows: every image of a large batch is the right one", async () => {
  const [count, side] = [50_000, 32];
  const words = new Uint32Array(count * 768);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i ^ (i >>> 7), 0x9e3779b1);
  const pixels = new Uint8Array(words.buffer);
  using set = uploadImages(pixels, { height: side, width: side, windowBytes: 1 << 27 });
  expect(set.windows.map((window) => window.count)).toEqual([43690, 6310]);
  // More than 65,535 workgroups of 64 pixels, and both sides of the boundary.
  const indices = Array.from({ length: 4100 }, (_, i) => (i * 12289) % count);
  indices.splice(0, 6, 0, 43689, 43690, 43691, 49999, 43689);
  using y = gatherImages(set, centerRecords(indices, [side, side]), { layout: centerLayout([side, side]), ...raw });
  const got = await y.data();
  const wrong = indices.filter((index, n) => {
    const want = pixels.subarray(index * 3072, (index + 1) * 3072);
    return want.some((value, i) => got[n * 3072 + i] !== value);
  });
  expect(wrong).toEqual([]);
});

it("gathers labels", async () => {
  const labels = toGpu({ shape: [5], data: [4, 3, 9, 1, 7] }, { dtype: "u32" });
  expect([...(await gatherLabels(labels, [4, 0, 0, 2]).data())]).toEqual([7, 4, 4, 9]);
  expect(() => gatherLabels(toGpu({ shape: [1], data: [1] }), [0])).toThrow("gatherLabels: labels must be u32 [count]");
});

it("holds no memory but the batch", async () => {
  const device = await testDevice();
  const before = device.memory().tensors;
  for (let i = 0; i < 3; i++) {
    gatherImages(sets[0], centerRecords([1, 2], SIZES[0]), { layout: centerLayout(SIZES[0]), mean, std }).dispose();
  }
  expect(device.memory().tensors).toBe(before);
});

it("names what is wrong", () => {
  const layout = centerLayout(SIZES[0]);
  const gather = (indices: number[], options = { mean, std }): unknown =>
    gatherImages(sets[0], centerRecords(indices, SIZES[0]), { layout, ...options });
  expect(() => gather([COUNT])).toThrow("image 11 is not in a data set of 11");
  expect(() => gather([])).toThrow("the batch is empty");
  expect(() => gather([0], { mean, std: [1, 0, 1] })).toThrow("std must be positive");
  expect(() => uploadImages(new Uint8Array(10), { height: 2, width: 2 })).toThrow(
    "10 bytes are not a whole number of 2x2 images",
  );
});

it("the reference's borders are the documented ones", () => {
  const row = (border: Border): string =>
    Array.from({ length: 12 }, (_, i) => "abcd"[borderIndex(i - 4, 4, border) ?? 9] ?? "-").join("");
  expect(BORDERS.map(row)).toEqual(["----abcd----", "aaaaabcddddd", "dcbaabcddcba", "cdcbabcdcbab"]);
});
