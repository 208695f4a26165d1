import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scope, type Tensor } from "../../../engine/index.ts";
import { Flatten, Linear, Sequential } from "../../../nn/index.ts";
import { confidenceChange, type ClassMaps } from "../../../training/explain/confidence.ts";
import { impute } from "../../../training/explain/impute.ts";
import { keptPixels, percentile, road } from "../../../training/explain/road.ts";
import { testDevice, toGpu } from "../../support/gpu.ts";
import { randomArr } from "../../support/random.ts";
import { expectClose } from "../../support/tolerance.ts";

/** What numpy makes of it: see test/pytorch/make-faithfulness.py. */
const { impute: reference } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../pytorch/faithfulness.json"), "utf8"),
) as {
  impute: {
    image: number[];
    cases: { percent: number; cam: number[]; threshold: number; kept: number[]; filled: number[] }[];
  };
};
const none = (): number => 0;
const size = (height: number, width: number) => ({ height, width, channels: 3 });
/** Differences between what CG and a direct solver find, both in f32 at the end. */
const farthest = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  Array.from(want).reduce((most, value, i) => Math.max(most, Math.abs(value - got[i])), 0);

describe("impute", () => {
  it("solves the same system as numpy", () => {
    for (const { kept, filled, percent } of reference.cases) {
      const got = impute(
        Float32Array.from(reference.image),
        kept.map((one) => one === 1),
        size(7, 9),
        none,
      );
      // The reference is rounded to six places.
      expect(farthest(got, filled), `percentile ${percent}`).toBeLessThan(2e-6);
      expect(got).toHaveLength(filled.length);
    }
    expect(reference.cases).toHaveLength(4);
  });

  it("takes the weighted mean of the neighbours, of fewer at the edge", () => {
    const image = Float32Array.from({ length: 9 }, (_, i) => i ** 2);
    const without = (pixel: number): number => {
      const kept = Array.from({ length: 9 }, (_, i) => i !== pixel);
      return impute(image, kept, { height: 3, width: 3, channels: 1 }, none)[pixel];
    };
    expect(without(4)).toBeCloseTo((1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12, 5);
    expect(without(0)).toBeCloseTo(((1 + 9) / 6 + 16 / 12) / (2 / 6 + 1 / 12), 5);
    expect(without(5)).toBeCloseTo(((4 + 16 + 64) / 6 + (1 + 49) / 12) / (3 / 6 + 2 / 12), 5);
  });

  it("keeps what is kept to the bit, adds noise to the rest, and stands in the mean where nothing is kept", () => {
    const image = Float32Array.from(randomArr([5 * 5 * 3], 3).data);
    const kept = Array.from({ length: 25 }, (_, i) => i % 3 === 0);
    const [plain, noisy] = [none, () => 0.25].map((noise) => impute(image, kept, size(5, 5), noise));
    image.forEach((value, i) => {
      const stays = kept[Math.floor(i / 3)];
      if (stays) expect([plain[i], noisy[i]]).toEqual([value, value]);
      else expect(noisy[i] - plain[i]).toBeCloseTo(0.25, 6);
    });
    const nothing = impute(image, new Array<boolean>(25).fill(false), size(5, 5), none);
    for (let c = 0; c < 3; c++) {
      const channel = image.filter((_, i) => i % 3 === c);
      expect(nothing[c]).toBeCloseTo(channel.reduce((sum, value) => sum + value, 0) / 25, 6);
      expect(nothing[72 + c]).toBe(nothing[c]);
    }
    expect(impute(image, new Array<boolean>(25).fill(true), size(5, 5), none)).toEqual(image);
  });

  it("fills a large hole in an image of 64 x 64 with a ramp where the image is one", () => {
    const ramp = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 64) / 64);
    const kept = Array.from(ramp, (_, i) => i % 64 < 4 || i % 64 >= 60 || i < 256 || i >= 3840);
    const filled = impute(ramp, kept, { height: 64, width: 64, channels: 1 }, none);
    expect(farthest(filled, ramp)).toBeLessThan(1e-5);
  });
});

describe("percentile", () => {
  it("is numpy's, and keeps what lies below it", () => {
    for (const { cam, percent, threshold, kept } of reference.cases) {
      expect(percentile(Float32Array.from(cam), percent)).toBeCloseTo(threshold, 12);
      expect(keptPixels(Float32Array.from(cam), percent).map(Number)).toEqual(kept);
    }
    expect(keptPixels(Float32Array.of(0, 0, 0, 1), 50)).toEqual([false, false, false, false]);
    expect(() => percentile(Float32Array.of(1), 101)).toThrow("101");
  });
});

const [height, width, classes] = [6, 5, 4];
const features = height * width * 3;

describe("with a linear model", () => {
  let model: Sequential;
  let images: Tensor;
  let weight: ArrayLike<number>;
  const pixels = randomArr([3, height, width, 3], 8);
  const maps: ClassMaps = {
    shape: [3, 2, height, width],
    data: Float32Array.from(randomArr([6 * height * width], 9, { min: 0, max: 1 }).data),
    classes: [
      [0, 3],
      [1, 1],
      [2, 0],
    ],
  };
  beforeAll(async () => {
    await testDevice();
    const linear = new Linear(features, classes, { bias: false });
    linear.weight.write(Float32Array.from(randomArr([features, classes], 10).data));
    model = new Sequential(new Flatten(), linear);
    weight = await linear.weight.data();
    images = toGpu(pixels);
  });
  afterAll(() => {
    images.dispose();
    model.dispose();
  });

  const imageOf = (n: number): Float32Array => Float32Array.from(pixels.data.slice(n * features, (n + 1) * features));
  const mapOf = (n: number): Float32Array => maps.data.slice(n * height * width, (n + 1) * height * width);
  /** In float64. */
  const logitsOf = (image: ArrayLike<number>): number[] =>
    Array.from({ length: classes }, (_, k) => {
      let logit = 0;
      for (let i = 0; i < features; i++) logit += image[i] * weight[i * classes + k];
      return logit;
    });
  const confidence = (image: ArrayLike<number>, label: number): number => {
    const powers = logitsOf(image).map(Math.exp);
    return powers[label] / powers.reduce((sum, power) => sum + power, 0);
  };
  const labels = maps.classes.flat();
  const each = (make: (image: Float32Array, map: Float32Array) => ArrayLike<number>): number[] =>
    labels.map((label, i) => confidence(make(imageOf(Math.floor(i / 2)), mapOf(i)), label));
  const close = (got: ArrayLike<number>, want: readonly number[], op: string): void => {
    const range = Math.max(...[0, 1, 2].flatMap((n) => logitsOf(imageOf(n)).map(Math.abs)));
    const shapes = { x: [3, height, width, 3], weight: [features, classes] };
    expectClose(got, want, { op, shapes, kind: ["sum", "softmax"], terms: features, scale: range, at: range });
  };

  it("measures the change, drop and increase of the confidence in each map's class", async () => {
    const got = await confidenceChange(model, images, maps, { batchSize: 4 });
    const before = each((image) => image);
    const after = each((image, map) => image.map((value, i) => value * map[Math.floor(i / 3)]));
    close(got.before, before, "before");
    close(got.after, after, "after");
    const change = after.map((value, i) => value - before[i]);
    const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / 6;
    expect(got.mean.change).toBeCloseTo(average(change), 5);
    expect(got.mean.drop).toBeCloseTo(average(change.map((value) => Math.max(0, -value))), 5);
    expect(got.mean.increase).toBeCloseTo(average(change.map((value) => (value > 0 ? 1 : 0))), 12);
    // Both kinds are there, so that the two figures are tested.
    expect(Math.min(...change)).toBeLessThan(0);
    expect(Math.max(...change)).toBeGreaterThan(0);
  });

  it("measures ROAD: what is lost with the most and the least relevant pixels", async () => {
    const percentiles = [20, 70];
    const got = await road(model, images, maps, { percentiles, noise: 0 });
    const before = each((image) => image);
    const removed = (percent: number, least: boolean): number[] => {
      const after = each((image, map) => {
        const heat = least ? map.map((value) => 1 - value) : map;
        return impute(image, keptPixels(heat, percent), size(height, width), none);
      });
      return after.map((value, i) => value - before[i]);
    };
    const mean = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => (value + b[i]) / 2);
    const morf = mean(removed(20, false), removed(70, false));
    const lerf = mean(removed(20, true), removed(70, true));
    close(got.morf, morf, "morf");
    close(got.lerf, lerf, "lerf");
    got.combined.forEach((value, i) => expect(value).toBeCloseTo((lerf[i] - morf[i]) / 2, 5));
    expect(got.curve.map((point) => point.percentile)).toEqual(percentiles);
    expect((got.curve[0].morf + got.curve[1].morf) / 2).toBeCloseTo(got.mean.morf, 6);
  });

  it("prefers heat where the model looks, and turns its sign with the heat", async () => {
    // What each pixel adds to the logit of the image's class, as heat.
    const data = Float32Array.from({ length: 3 * height * width }, (_, at) => {
      const [n, pixel] = [Math.floor(at / (height * width)), at % (height * width)];
      const parts = [0, 1, 2].map((c) => imageOf(n)[pixel * 3 + c] * weight[(pixel * 3 + c) * classes + 2]);
      return 1 / (1 + Math.exp(-parts[0] - parts[1] - parts[2]));
    });
    const looks: ClassMaps = { shape: [3, 1, height, width], data, classes: [[2], [2], [2]] };
    const good = await road(model, images, looks, { noise: 0 });
    const inverted = await road(model, images, { ...looks, data: data.map((heat) => 1 - heat) }, { noise: 0 });
    expect(good.mean.combined).toBeGreaterThan(0.1);
    expect(inverted.mean.combined).toBeCloseTo(-good.mean.combined, 5);
  });

  it("draws its noise by the seed", async () => {
    const run = async (seed: number): Promise<number[]> => [
      ...(await road(model, images, maps, { percentiles: [50], seed })).combined,
    ];
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  it("leaves no tensor behind, and refuses maps of other images", async () => {
    const device = await testDevice();
    const { tensors } = device.memory();
    await confidenceChange(model, images, maps);
    expect(device.memory().tensors).toBe(tensors);
    const one = scope(() => toGpu(randomArr([1, height, width, 3], 1)));
    await expect(road(model, one, maps)).rejects.toThrow("road: maps [3,2,6,5] are not of images [1,6,5,3]");
    one.dispose();
  });
});
