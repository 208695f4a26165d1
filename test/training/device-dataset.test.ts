import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../engine/index.ts";
import { DeviceDataset, loadDataset, parseAugment, toDevice, type ImageSet } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { trainImages } from "../support/tiny-data.ts";

const info = { classes: ["a", "b", "c"], mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] } as const;

/** Images of random bytes whose label is the index modulo 3. */
function randomSet(count: number, height = 8, width = 8): ImageSet {
  const bytes = randomArr([count * height * width * 3], 7).data;
  return {
    count,
    height,
    width,
    channels: 3,
    images: Uint8Array.from(bytes, (value) => Math.floor((value + 1) * 127.99)),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 3),
    skipped: 0,
  };
}

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

describe("DeviceDataset", () => {
  const set = randomSet(10);
  /** (v / 255 - mean) / std of chosen images. */
  const normalised = (indices: readonly number[]): number[] =>
    indices.flatMap((index) =>
      Array.from(
        set.images.subarray(index * 192, (index + 1) * 192),
        (v, i) => (v / 255 - info.mean[i % 3]) / info.std[i % 3],
      ),
    );

  for (const windowBytes of [192 * 10, 192 * 4, 192]) {
    it(`normalises images out of windows of ${windowBytes} bytes`, async () => {
      using data = new DeviceDataset(set, info, { windowBytes });
      const indices = [9, 0, 4, 3, 3];
      const { images, labels } = data.batch(indices);
      expect(images.shape).toEqual([5, 8, 8, 3]);
      const want = normalised(indices);
      // Of v / 255 - mean, both up to 1, divided by a std of at least 0.2.
      const rounding = { kind: ["add", "add", "div"], scale: 1 / 0.2 } as const;
      expectClose(await images.data(), want, { op: "images", shapes: { images: images.shape }, ...rounding });
      expect([...(await labels.data())]).toEqual([0, 0, 1, 0, 0]);
      const plain = data.images(indices);
      expect(await plain.data()).toEqual(await images.data());
      for (const tensor of [images, labels, plain]) tensor.dispose();
    });
  }

  it("augments by (seed, epoch, image), whatever else is in the batch", async () => {
    using data = new DeviceDataset(set, info);
    const augment = parseAugment("pad-crop:2,flip");
    const read = async (indices: number[], options: { seed: number; epoch: number }): Promise<Float32Array[]> => {
      const { images, labels } = data.batch(indices, { augment, ...options });
      const values = (await images.data()) as Float32Array;
      images.dispose();
      labels.dispose();
      return indices.map((_, i) => values.slice(i * 192, (i + 1) * 192));
    };
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const first = await read(all, { seed: 1, epoch: 1 });
    const [alone] = await read([7], { seed: 1, epoch: 1 });
    expect(alone).toEqual(first[7]);
    expect(await read(all, { seed: 1, epoch: 2 })).not.toEqual(first);
    expect(await read(all, { seed: 2, epoch: 1 })).not.toEqual(first);
    expect(first[0]).not.toEqual(Float32Array.from(normalised([0])));
  });

  it("says which index is wrong", () => {
    using data = new DeviceDataset(set, info);
    expect(() => data.batch([0, 10])).toThrow("there is no image 10 among 10");
    expect(() => data.images([0.5])).toThrow("there is no image 0.5 among 10");
    expect(() => data.images([])).toThrow("no indices");
  });

  it("refuses labels that are no class, and another number of them than images", () => {
    const labels = Uint8Array.of(...set.labels.subarray(0, 9), 3);
    expect(() => new DeviceDataset({ ...set, labels }, info)).toThrow("image 9 has label 3, the 3 classes are 0 to 2");
    expect(() => new DeviceDataset({ ...set, labels: labels.subarray(1) }, info)).toThrow("9 labels for 10 images");
  });

  it.each<[object, string]>([
    [{ std: [0.2, 0, 0.2] }, "std must be three numbers above 0, as in [0.5, 0.5, 0.5], got [0.2, 0, 0.2]"],
    [{ std: [0.2, 0.2] }, "std must be three numbers above 0, as in [0.5, 0.5, 0.5], got [0.2, 0.2]"],
    [{ std: [0.2, 0.2, NaN] }, "got [0.2, 0.2, NaN]"],
    [{ std: undefined }, "std must be three numbers above 0, as in [0.5, 0.5, 0.5], got undefined"],
    [{ mean: undefined }, "mean must be three numbers, as in [0.5, 0.5, 0.5], got undefined"],
    [{ mean: 0.5 }, "mean must be three numbers, as in [0.5, 0.5, 0.5], got 0.5"],
    [{ mean: [0.1, 0.2, Infinity] }, "got [0.1, 0.2, Infinity]"],
    [{ mean: [0.1, 0.2, 0.3, 0.4] }, "got [0.1, 0.2, 0.3, 0.4]"],
  ])("refuses %o", (wrong, message) => {
    const before = device.memory().tensors;
    expect(() => new DeviceDataset(set, { ...info, ...wrong })).toThrow(message);
    expect(device.memory().tensors).toBe(before);
  });

  it("frees its memory", () => {
    const before = device.memory().tensors;
    const data = new DeviceDataset(trainImages(20), { ...info, classes: Array.from("0123456789") });
    expect(device.memory().tensors).toBeGreaterThan(before);
    data.dispose();
    expect(device.memory().tensors).toBe(before);
  });
});

describe("loadDataset", () => {
  const loading = () => loadDataset("shapes", { limit: 40, limitTest: 15, validation: 0.25 });
  let data: Awaited<ReturnType<typeof loading>>;
  beforeAll(async () => {
    data = await loading();
  });
  afterAll(() => data.dispose());

  it("loads shapes with a part held out", () => {
    expect(data.name).toBe("shapes");
    expect(data.classes).toHaveLength(10);
    expect([data.train.count, data.validation?.count, data.test.count]).toEqual([30, 10, 15]);
    expect(data.train.raw.boxes).toHaveLength(30 * 4);
    expect([data.train.height, data.train.width]).toEqual([32, 32]);
    expect(data.test.mean).toEqual(data.mean);
  });

  it("passes errors on, and keeps no memory then", async () => {
    await expect(loadDataset("/no/such/folder")).rejects.toThrow("/no/such/folder");
    const before = device.memory().tensors;
    const [train, test] = [randomSet(10), { ...randomSet(4), labels: Uint8Array.of(0, 1, 2, 3) }];
    expect(() => toDevice({ name: "wrong", train, test, ...info })).toThrow("image 3 has label 3");
    expect(device.memory().tensors).toBe(before);
  });
});

describe("a set larger than one binding", () => {
  it("holds 50,000 images of CIFAR's size", async () => {
    const count = 50_000;
    const images = new Uint8Array(count * 3072);
    for (let i = 0; i < count; i++) images.fill(i % 251, i * 3072, (i + 1) * 3072);
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
    const set: ImageSet = { count, height: 32, width: 32, channels: 3, images, labels, skipped: 0 };
    using data = new DeviceDataset(set, { classes: info.classes, mean: [0, 0, 0], std: [1, 1, 1] });
    const indices = [0, 43_689, 43_690, 43_691, 49_999];
    const batch = data.batch(indices);
    const values = await batch.images.data();
    const corners = indices.flatMap((_, i) => [values[i * 3072], values[(i + 1) * 3072 - 1]]);
    const want = indices.flatMap((index) => [(index % 251) / 255, (index % 251) / 255]);
    expectClose(corners, want, { op: "images", shapes: { images: batch.images.shape }, kind: ["add", "add", "div"] });
    expect([...(await batch.labels.data())]).toEqual(indices.map((index) => index % 3));
    batch.images.dispose();
    batch.labels.dispose();
  });
});
