import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { FolderOptions } from "../../../training/data/image-folder.ts";
import { loadRaw } from "../../../training/data/load.ts";
import { picture, png, put } from "./fixtures.ts";
import { four, imageFolders, numbers } from "./folders.ts";

const { cache, makeFolder, read } = imageFolders();

describe("readImageFolder", () => {
  it("reads train/ and test/, classes by name, images round robin", async () => {
    const { classes, train, test, validation } = await read(makeFolder(four));
    expect(classes).toEqual(["a", "b"]);
    expect([...train.labels]).toEqual([0, 1, 0, 1, 1]);
    expect(train.paths).toEqual(["train/a/0.png", "train/b/0.png", "train/a/1.png", "train/b/1.png", "train/b/2.png"]);
    expect(numbers(train)).toEqual([3, 0, 4, 1, 2]);
    expect([...test.labels]).toEqual([0, 1, 1]);
    expect(numbers(test)).toEqual([5, 6, 7]);
    expect([train.height, train.width, train.skipped, validation]).toEqual([8, 8, 0, undefined]);
    const pixel = [...train.images.subarray(3 * 192 + (2 * 8 + 5) * 3, 3 * 192 + (2 * 8 + 5) * 3 + 3)];
    expect(pixel).toEqual(picture(1)(5, 2));
  });

  it("takes val/ or valid/ for the test set, or beside test/ for the validation set", async () => {
    const alone = await read(makeFolder({ "train/a": 2, "train/b": 2, "valid/a": 1, "valid/b": 1 }));
    expect([alone.test.count, alone.validation]).toEqual([2, undefined]);
    const both = await read(makeFolder({ ...four, "val/a": 3, "val/b": 1 }));
    expect([both.test.count, both.validation!.count, numbers(both.validation!)[0]]).toEqual([3, 4, 8]);
  });

  it("takes all images for testing where nothing trains: of class folders, or of a test/ alone", async () => {
    for (const counts of [
      { x: 3, y: 2 },
      { "train/x": 3, "train/y": 2 },
      { "test/x": 3, "test/y": 2 },
      { "test/x": 4 },
    ] as Record<string, number>[]) {
      const { train, test, split } = await read(makeFolder(counts), { split: 0 });
      const all = Object.values(counts).reduce((sum, n) => sum + n);
      expect([train.count, test.count, split]).toEqual([0, all, 0]);
    }
    const alone = makeFolder({ "test/x": 3, "test/y": 2 });
    await expect(read(alone)).rejects.toThrow(
      /has test\/ and no train\/; put the training images into train\/<class>\/$/,
    );
    await expect(loadRaw(alone, { split: 0, cache })).rejects.toThrow("--split 0 leaves no training images");
    const { mean, test } = await loadRaw(alone, { split: 0, cache, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] });
    expect([mean, test.count]).toEqual([[0.5, 0.5, 0.5], 5]);
  });

  it("splits class folders alone, every class, all images once", async () => {
    const folder = makeFolder({ x: 10, y: 20 });
    const { classes, train, test } = await read(folder, { split: 0.8 });
    expect([classes, train.count, test.count]).toEqual([["x", "y"], 24, 6]);
    expect([...train.labels].slice(0, 6)).toEqual([0, 1, 0, 1, 0, 1]);
    expect([...test.labels]).toEqual([0, 1, 0, 1, 1, 1]);
    expect([...numbers(train), ...numbers(test)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i),
    );
    expect(numbers((await read(folder, { split: 0.8, seed: 1 })).test)).not.toEqual(numbers(test));
    expect(numbers((await read(folder, { fallbackSplit: 0.8 })).test)).toEqual(numbers(test));
    expect((await read(folder, { split: 0.5, fallbackSplit: 0.8 })).test.count).toBe(15);
    expect((await read(makeFolder(four), { fallbackSplit: 0.8 })).test.count).toBe(3);
  });

  it("finds images in folders inside the class folders, and no hidden files", async () => {
    const folder = makeFolder({ "train/a": 1, "train/a/more": 2, "train/b": 1, "test/a": 1, "test/b": 1, ".git/x": 1 });
    put(join(folder, "train/a/.hidden.png"), "x");
    const { train } = await read(folder);
    expect(train.paths).toEqual(["train/a/0.png", "train/b/0.png", "train/a/more/0.png", "train/a/more/1.png"]);
  });

  it("leaves out folders that a command wrote its results into, and says so once", async () => {
    const folder = makeFolder({ "runs/one/pictures": 2, "runs/two": 1, a: 4, "a/explained": 1, b: 3 });
    for (const name of ["runs/one/config.json", "runs/one/metrics.jsonl", "runs/two/evaluation.json"])
      put(join(folder, name), "");
    put(join(folder, "a/explained/maps.json"), "{}");
    const onWarning = vi.fn<(message: string) => void>();
    const { classes, train, test } = await read(folder, { split: 0.5, onWarning });
    expect([classes, train.count + test.count]).toEqual([["a", "b"], 7]);
    expect(onWarning.mock.calls).toEqual([
      [`data: left out ${folder}/a/explained and 2 more: results of an earlier command, not images of a class`],
    ]);
  });

  it("counts files of kinds that are not read, with strict too, and passes over what systems leave", async () => {
    const folder = makeFolder({ ...four, "train/__MACOSX": 1, "train/a/__MACOSX": 1 });
    for (const name of ["a/1.HEIC", "a/2.heic", "b/raw.v2/3", "b/4.txt", "a/Thumbs.db", "b/desktop.ini"])
      put(join(folder, "train", name), "");
    put(join(folder, "train/b/5.jfif"), png(8, 8, picture(40)));
    for (const strict of [false, true]) {
      const onWarning = vi.fn<(message: string) => void>();
      const { classes, train } = await read(folder, { onWarning, strict });
      expect([classes, train.count]).toEqual([["a", "b"], 6]);
      expect(onWarning.mock.calls).toEqual([
        [
          "data: 4 files are not of a kind that is read (.heic 2, .txt 1, no ending 1), " +
            `such as ${folder}/train/a/1.HEIC`,
        ],
      ]);
    }
  });

  it("brings images to the size asked for", async () => {
    const folder = makeFolder(four);
    for (const resize of ["crop", "squash"] as const) {
      put(
        join(folder, "test/a/0.png"),
        png(64, 16, (x) => (x < 24 ? [255, 0, 0] : [0, 255, 0])),
      );
      const { test } = await read(folder, { imageSize: 16, resize });
      expect([test.height, test.width, test.images.length]).toEqual([16, 16, 3 * 768]);
      // The left edge is red when squashed; the crop begins right of it.
      expect(test.images[0] > 128).toBe(resize === "squash");
    }
  });

  it("keeps the first images in round-robin order", async () => {
    const { train, test } = await read(makeFolder(four), { limit: 3, limitTest: 1 });
    expect([[...train.labels], [...test.labels]]).toEqual([[0, 1, 0], [0]]);
  });
});

describe("folders of another form", () => {
  const refuses = async (
    counts: Record<string, number>,
    message: RegExp,
    options: Partial<FolderOptions> = {},
  ): Promise<void> => {
    await expect(read(makeFolder(counts), options)).rejects.toThrow(message);
  };

  it("name the class that is missing, empty or too much", async () => {
    await refuses(
      { "train/a": 1, "train/b": 1, "test/a": 1, "test/c": 1 },
      /test\/b is missing: train\/ has that class/,
    );
    await refuses(
      { "train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1, "test/c": 1 },
      /test\/c has no counterpart train\/c/,
    );
    await refuses(
      { ...four, "train/c": 0, "test/c": 1 },
      /train\/c holds no images \(.*\) but other files \(\.txt 1\); /,
    );
    await refuses({ "train/a": 1, "test/a": 1 }, /train has one class folder \(a\/\), two or more are needed/);
  });

  it("say what is missing", async () => {
    await refuses({ "": 3 }, /has images but no class folders; it needs train\/<class>/, { split: 0.9 });
    await refuses({ a: 2, b: 2 }, /has no test images .* split with --split 0\.9/);
    await refuses({ "train/a": 2, "train/b": 2 }, /has no test images/);
    await refuses({ "test/a": 2, "test/b": 2 }, /has test\/ and no train\//);
    // With weights at hand all may test.
    const advice = /; give --split 0 to test on all its images$/;
    for (const counts of [
      { a: 2, b: 2 },
      { "train/a": 2, "train/b": 2 },
      { "test/a": 2, "test/b": 2 },
    ])
      await refuses(counts, advice, { trained: true });
    await refuses({ a: 1, b: 2 }, /\/a has a single image, which cannot be split/, { split: 0.5 });
  });

  it("refuse a split that has no use", async () => {
    await refuses(four, /has test\/ already, so --split does not apply/, { split: 0.5 });
  });

  it("refuse what no array can hold, naming a limit that fits", async () => {
    await refuses(four, /need 150\.0 GB, more than one array holds; use a smaller --image-size$/, {
      imageSize: 100_000,
    });
    await refuses(four, /need 6\.0 GB, .* or --limit 3$/, { imageSize: 20_000 });
  });
});
