import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pixelStatistics } from "../../../training/data/dataset.ts";
import { loadRaw } from "../../../training/data/load.ts";
import type { LoadOptions } from "../../../training/data/load.ts";
import { cifarBytes, picture, png, put, temporaryFolder } from "./fixtures.ts";

const root = temporaryFolder();
const cache = join(root, "cache");

function imageFolder(name: string): string {
  const folder = join(root, name);
  let n = 0;
  for (const part of ["train", "test"]) {
    for (const label of ["a", "b"]) {
      for (let i = 0; i < 4; i++) put(join(folder, part, label, `${i}.png`), png(8, 8, picture(n++)));
    }
  }
  return folder;
}

function cifarFolder(name: string): string {
  const folder = join(root, name);
  for (let i = 1; i <= 5; i++) put(join(folder, `data_batch_${i}.bin`), cifarBytes([[i], [i], [i - 1], [i - 1]]));
  put(join(folder, "test_batch.bin"), cifarBytes([[0], [1]]));
  return folder;
}

const images = imageFolder("images");
const cifar = cifarFolder("cifar");

describe("loadRaw", () => {
  it("makes the shapes, with their own statistics", async () => {
    const { name, train, test, classes, mean, std } = await loadRaw("shapes", { limit: 30, limitTest: 20 });
    expect([name, train.count, test.count, classes.length]).toEqual(["shapes", 30, 20, 10]);
    expect({ mean, std }).toEqual(pixelStatistics(train));
  });

  it("reads an image folder, with the statistics of its training images", async () => {
    const { name, train, mean, std, validation } = await loadRaw(`${images}/`, { cache });
    expect([name, train.count, train.height, validation]).toEqual(["images", 8, 32, undefined]);
    expect({ mean, std }).toEqual(pixelStatistics(train));
  });

  it("reads CIFAR files, with the published statistics", async () => {
    const { name, train, mean } = await loadRaw(cifar);
    expect([name, train.count, mean]).toEqual(["cifar10", 20, [0.4914, 0.4822, 0.4465]]);
  });

  it("holds out a part of the training images of every class, after the limit", async () => {
    const { train, validation } = await loadRaw(cifar, { validation: 0.5 });
    expect([train.count, validation!.count]).toEqual([10, 10]);
    expect([...train.labels].sort()).toEqual([...validation!.labels].sort());
    const few = await loadRaw(cifar, { validation: 0.5, limit: 8 });
    expect([few.train.count, few.validation!.count]).toEqual([4, 4]);
    expect((await loadRaw(cifar, { validation: 0.5 })).validation!.images).toEqual(validation!.images);
    const other = await loadRaw(cifar, { validation: 0.5, seed: 1 });
    expect(other.validation!.images).not.toEqual(validation!.images);
  });

  it("computes the statistics from what trains, not from what is held out", async () => {
    const { train, mean, std } = await loadRaw(images, { cache, validation: 0.25 });
    expect(train.count).toBe(6);
    expect({ mean, std }).toEqual(pixelStatistics(train));
  });

  it("takes a mean and a deviation instead, together or one alone", async () => {
    const own = await loadRaw(images, { cache });
    const both = await loadRaw(images, { cache, mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.1] });
    expect([both.mean, both.std]).toEqual([
      [0.5, 0.4, 0.3],
      [0.2, 0.2, 0.1],
    ]);
    const one = await loadRaw(images, { cache, mean: [0.5, 0.4, 0.3] });
    expect([one.mean, one.std]).toEqual([[0.5, 0.4, 0.3], own.std]);
  });

  it("never divides by zero: a channel of one value gets the deviation of a grey level", async () => {
    const folder = join(root, "flat");
    for (const part of ["train/a", "train/b", "test/a", "test/b"])
      put(
        join(folder, part, "0.png"),
        png(4, 4, () => [9, 9, 9]),
      );
    expect((await loadRaw(folder, { cache })).std).toEqual([1 / 255, 1 / 255, 1 / 255]);
  });
});

describe("bad input", () => {
  const refuses = async (spec: string, message: RegExp, options: LoadOptions = {}): Promise<void> => {
    const failed = await loadRaw(spec, { cache, ...options }).catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Error);
    expect((failed as Error).message).toMatch(message);
    expect((failed as Error).message.split("\n").length).toBe(1);
  };

  it("names a folder that is missing, empty, a file, or of no known form", async () => {
    await refuses(join(root, "nowhere"), /data: ".*nowhere" is not there; give shapes, cifar10, cifar100, or the path/);
    await refuses("cifar20", /data: "cifar20" is not there/);
    await refuses("", /data: "" is not there/);
    mkdirSync(join(root, "empty"));
    await refuses(join(root, "empty"), /empty is empty; it needs train\/<class>/);
    await refuses(put(join(root, "a-file"), "x"), /a-file is a file; give the folder/);
    put(join(root, "python", "data_batch_1"), "pickled");
    await refuses(join(root, "python"), /holds CIFAR for Python; get the "binary version"/);
    put(join(root, "text", "readme.txt"), "x");
    await refuses(join(root, "text"), /text has no class folders/);
  });

  it("names damaged CIFAR files and labels", async () => {
    const folder = cifarFolder("damaged");
    put(join(folder, "data_batch_5.bin"), "short");
    await refuses(folder, /data_batch_5\.bin has 5 bytes, not a multiple of 3073/);
    put(join(folder, "data_batch_5.bin"), cifarBytes([[200]]));
    await refuses(folder, /data_batch_5\.bin record 0 has label 200, allowed are 0 to 9/);
  });

  it("refuses numbers out of range before any work", async () => {
    await refuses("shapes", /--limit 0 is not a whole number of at least 1/, { limit: 0 });
    await refuses("shapes", /--limit-test 2\.5 is not a whole number/, { limitTest: 2.5 });
    await refuses("shapes", /--seed -1 is not a whole number of at least 0/, { seed: -1 });
    await refuses("shapes", /--validation 1 is not a fraction between 0 and 1/, { validation: 1 });
    await refuses(images, /--split 90 is not a fraction/, { split: 90 });
    await refuses(images, /--image-size 0 is not a whole number/, { imageSize: 0 });
    await refuses(images, /--mean 0\.5,0\.5 is not three numbers between 0 and 1/, { mean: [0.5, 0.5] });
    await refuses(images, /--mean 125,120,110 is not three numbers/, { mean: [125, 120, 110] });
    await refuses(images, /--std 0,0\.2,0\.2 is not three numbers above 0/, { std: [0, 0.2, 0.2] });
  });

  it("refuses options that do not fit the data", async () => {
    await refuses("shapes", /images of shapes are 32 x 32, --image-size 64 is for image folders/, { imageSize: 64 });
    await refuses(cifar, /has a test set already, --split is for image folders/, { split: 0.9 });
    await refuses(images, /images has one training image a class, nothing can be held out/, {
      limit: 2,
      validation: 0.5,
    });
    const folder = imageFolder("three");
    for (const label of ["a", "b"]) put(join(folder, "val", label, "0.png"), png(8, 8, picture(3)));
    await refuses(folder, /three has a validation folder already/, { validation: 0.5 });
  });
});
