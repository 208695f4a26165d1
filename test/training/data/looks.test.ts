import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAugment, type DeviceDataset } from "../../../training/index.ts";
import {
  augmentedViews,
  channelStatistics,
  classCounts,
  labelledSamples,
  rawImage,
} from "../../../training/data/looks.ts";
import type { ImageSet } from "../../../training/data/dataset.ts";
import { testDevice } from "../../support/gpu.ts";
import { tinyTrain, trainImages } from "../../support/tiny-data.ts";

let train: DeviceDataset;
beforeAll(async () => {
  await testDevice();
  train = tinyTrain(4);
});
afterAll(() => train.dispose());

/** Two images of two pixels. */
const set: ImageSet = {
  count: 2,
  height: 1,
  width: 2,
  channels: 3,
  images: Uint8Array.of(0, 10, 255, 100, 30, 255, 200, 50, 0, 100, 50, 0),
  labels: Uint8Array.of(2, 0),
  skipped: 0,
};

describe("looks", () => {
  it("gives pixelwise and per-image statistics, worked by hand", () => {
    const { pixelwise, perImage } = channelStatistics(set);
    const close = (got: readonly number[], want: readonly number[]): void =>
      want.forEach((value, c) => expect(got[c] * 255).toBeCloseTo(value, 9));
    close(pixelwise.mean, [100, 35, 127.5]);
    close(pixelwise.std, [Math.sqrt(5000), Math.sqrt(275), 127.5]);
    close(perImage.mean, [100, 35, 127.5]);
    // Of two numbers the deviation with n - 1 is their distance over the root of 2.
    close(perImage.std, [100 / Math.SQRT2, 20 / Math.SQRT2 / 2, 0]);
  });

  it("counts classes, and takes samples of each class in turn", () => {
    expect(classCounts(set, ["a", "b", "c"])).toEqual([1, 0, 1]);
    expect(labelledSamples(set, 5)).toEqual([1, 0]);
    const many = trainImages(60);
    const labels = labelledSamples(many, 25).map((i) => many.labels[i]);
    expect(labels.slice(0, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(labels).toHaveLength(25);
    expect(new Set(labelledSamples(many, 25)).size).toBe(25);
  });

  it("shows an image as it was where nothing is augmented, and otherwise differently in every epoch", async () => {
    const raw = rawImage(train.raw, 2);
    const [plain] = await augmentedViews(train, 2, { augment: [], count: 1 });
    expect([...plain.picture.data]).toEqual([...raw.data]);
    // (v / 255 - 0.5) / 0.25 runs from -2 to 2.
    raw.data.forEach((v, i) =>
      expect(Math.abs(plain.normalised.data[i] - (0.1 + (0.8 * v) / 255) * 255)).toBeLessThan(1),
    );
    const views = await augmentedViews(train, 2, { augment: parseAugment("pad-crop:4,flip"), count: 6, seed: 3 });
    expect(new Set(views.map(({ picture }) => picture.data.join())).size).toBeGreaterThan(3);
  });
});
