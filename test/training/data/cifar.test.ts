import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findCifar, readCifar } from "../../../training/data/cifar.ts";
import type { CifarData, CifarLimits } from "../../../training/data/cifar.ts";
import { cifarBytes, cifarPixel, put, temporaryFolder } from "./fixtures.ts";

const root = temporaryFolder();
let made = 0;

const names = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);

/** A CIFAR-10 folder: two images a training batch (labels 0..9), three test images. */
function cifar10(inner = ""): string {
  const folder = join(root, `c${made++}`);
  names.forEach((name, i) => put(join(folder, inner, name), cifarBytes([[2 * i], [2 * i + 1]])));
  put(join(folder, inner, "test_batch.bin"), cifarBytes([[7], [0], [9]]));
  return folder;
}

function cifar100(): string {
  const folder = join(root, `c${made++}`);
  put(
    join(folder, "train.bin"),
    cifarBytes([
      [3, 99],
      [1, 0],
    ]),
  );
  put(join(folder, "test.bin"), cifarBytes([[19, 42]]));
  return folder;
}

async function read(folder: string, limits?: CifarLimits): Promise<CifarData> {
  const found = await findCifar(folder);
  expect(found).toBeDefined();
  return readCifar(found!, limits);
}

describe("CIFAR-10", () => {
  it("reads labels and turns planes into pixels, batch after batch", async () => {
    const { train, test, classes, name, mean, std } = await read(cifar10());
    expect([name, train.count, test.count, train.skipped]).toEqual(["cifar10", 10, 3, 0]);
    expect([...train.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...test.labels]).toEqual([7, 0, 9]);
    expect([train.height, train.width, train.images.length]).toEqual([32, 32, 10 * 3072]);
    for (const [i, y, x] of [
      [0, 0, 0],
      [3, 31, 31],
      [9, 5, 17],
    ]) {
      const at = ((i * 32 + y) * 32 + x) * 3;
      const want = [0, 1, 2].map((c) => cifarPixel(i % 2, c, y * 32 + x));
      expect([...train.images.subarray(at, at + 3)]).toEqual(want);
    }
    expect([classes.length, classes[0], classes[9]]).toEqual([10, "airplane", "truck"]);
    expect([mean, std]).toEqual([
      [0.4914, 0.4822, 0.4465],
      [0.247, 0.2435, 0.2616],
    ]);
  });

  it("finds the folder that the archive unpacks to, and takes the names in it", async () => {
    const folder = cifar10("cifar-10-batches-bin");
    put(join(folder, "cifar-10-batches-bin", "batches.meta.txt"), "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    expect((await read(folder)).classes).toEqual([..."abcdefghij"]);
  });

  it("keeps the first images as in the files", async () => {
    const { train, test } = await read(cifar10(), { limit: 3, limitTest: 2 });
    expect([[...train.labels], [...test.labels], train.images.length]).toEqual([[0, 1, 2], [7, 0], 3 * 3072]);
    expect(train.images[2 * 3072]).toBe(cifarPixel(0, 0, 0));
    expect((await read(cifar10(), { limit: 900 })).train.count).toBe(10);
  });

  it("names the file that is missing", async () => {
    const folder = join(root, "some");
    put(join(folder, names[0]), cifarBytes([[1]]));
    await expect(read(folder)).rejects.toThrow(
      /cifar10: .*data_batch_2\.bin is missing; the folder needs data_batch_1\.bin/,
    );
  });

  it("refuses a file that is cut or empty, even beyond the limit", async () => {
    const folder = cifar10();
    put(join(folder, names[3]), cifarBytes([[1], [2]]).subarray(0, 6000));
    await expect(read(folder, { limit: 2 })).rejects.toThrow(
      /data_batch_4\.bin has 6000 bytes, not a multiple of 3073/,
    );
    put(join(folder, names[3]), "");
    await expect(read(folder)).rejects.toThrow(/data_batch_4\.bin is empty/);
  });

  it("names the record whose label is out of range", async () => {
    const folder = cifar10();
    put(join(folder, "test_batch.bin"), cifarBytes([[9], [10]]));
    await expect(read(folder)).rejects.toThrow(/test_batch\.bin record 1 has label 10, allowed are 0 to 9/);
  });

  it("finds nothing in other folders", async () => {
    put(join(root, "other", "data_batch_1"), "pickled");
    expect(await findCifar(join(root, "other"))).toBeUndefined();
  });
});

describe("CIFAR-100", () => {
  it("takes the fine label, the second byte", async () => {
    const { name, classes, train, test, mean } = await read(cifar100());
    expect([name, [...train.labels], [...test.labels]]).toEqual(["cifar100", [99, 0], [42]]);
    expect([classes.length, classes[0], classes[99]]).toEqual([100, "apple", "worm"]);
    expect(new Set(classes).size).toBe(100);
    expect([...classes].sort()).toEqual([...classes]);
    expect(mean).toEqual([0.5071, 0.4865, 0.4409]);
    expect(train.images[4]).toBe(cifarPixel(0, 1, 1));
  });
});
