import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { files } from "#files";
import sharp from "sharp";
import { decodeImage } from "../../../training/data/decode.node.ts";
import { readImageFolder } from "../../../training/data/image-folder.ts";
import type { FolderData, FolderOptions } from "../../../training/data/image-folder.ts";
import type { ImageSet } from "../../../training/data/dataset.ts";
import { loadRaw } from "../../../training/data/load.ts";
import { picture, png, put, temporaryFolder } from "./fixtures.ts";

const root = temporaryFolder();
const cache = join(root, "cache");
let made = 0;

/** An image folder from `{ "train/cat": 3 }`: so many 8 x 8 PNG files in each folder, all of them different. */
function makeFolder(counts: Record<string, number>): string {
  const folder = join(root, `f${made++}`);
  let n = 0;
  for (const [name, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) put(join(folder, name, `${i}.png`), png(8, 8, picture(n++)));
    if (count === 0) put(join(folder, name, "notes.txt"), "none");
  }
  return folder;
}

const four = { "train/b": 3, "train/a": 2, "test/a": 1, "test/b": 2 };

function read(folder: string, options: Partial<FolderOptions> = {}): Promise<FolderData> {
  return readImageFolder(folder, { imageSize: 8, resize: "crop", seed: 0, cache, ...options });
}

/** The first pixel of each image: `picture(n)` starts with [37 n, 11 n, 3 n]. */
const numbers = (set: ImageSet): number[] => Array.from({ length: set.count }, (_, i) => set.images[i * 192 + 2] / 3);

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

describe("images that cannot be decoded", () => {
  const broken = (): string => {
    const folder = makeFolder({ "train/a": 4, "train/b": 4, "test/a": 1, "test/b": 1 });
    for (const name of ["train/a/1.png", "train/b/0.png", "train/b/2.png", "train/b/3.png"])
      put(join(folder, name), "no image");
    return folder;
  };

  it("are skipped with a count, and the others stay in order, now and from the cache", async () => {
    const folder = broken();
    for (const time of ["first", "second"]) {
      const onWarning = vi.fn<(message: string) => void>();
      const { train } = await read(folder, { onWarning });
      expect([time, train.count, train.skipped, ...train.labels]).toEqual([time, 4, 4, 0, 1, 0, 0]);
      expect(numbers(train)).toEqual([0, 5, 2, 3]);
      expect(train.paths).toEqual(["train/a/0.png", "train/b/1.png", "train/a/2.png", "train/a/3.png"]);
      expect(onWarning).toHaveBeenCalledTimes(1);
      const [message] = onWarning.mock.calls[0];
      expect(message).toMatch(
        /^data: skipped 4 of 8 images that cannot be decoded: .*train\/b\/0\.png \(.+\), .* and 1 more$/,
      );
    }
  });

  it("are described in words, also where several decoders fail at once", async () => {
    const noise = Uint8Array.from({ length: 3 * 128 ** 2 }, (_, i) => (i * i * 31) % 256);
    const whole = await sharp(noise, { raw: { width: 128, height: 128, channels: 3 } })
      .jpeg()
      .toBuffer();
    const folder = makeFolder({ "train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1 });
    for (let n = 0; n < 8; n++) put(join(folder, `train/a/cut${n}.jpg`), whole.subarray(0, whole.length / 2));
    put(join(folder, "train/b/empty.png"), "");
    put(join(folder, "train/b/text.png"), "no image");
    const reasons: string[] = [];
    vi.spyOn(files, "decodeImage").mockImplementation((bytes, fit) =>
      decodeImage(bytes, fit).catch((error: Error) => {
        reasons.push(error.message);
        throw error;
      }),
    );
    await read(folder).finally(() => vi.restoreAllMocks());
    const cut = reasons.filter((reason) => /^it (ends too early|is damaged or ends too early)$/.test(reason));
    expect(cut).toHaveLength(8);
    expect(reasons.filter((reason) => !cut.includes(reason)).sort()).toEqual([
      "it is no image of a kind that is read",
      "the file is empty",
    ]);
  });

  it("are made up for by the next ones under a limit", async () => {
    const { train } = await read(broken(), { limit: 3 });
    expect([numbers(train), train.skipped]).toEqual([[0, 5, 2], 2]);
  });

  it("are refused by name with strict, also from the cache", async () => {
    const folder = broken();
    await expect(read(folder, { strict: true })).rejects.toThrow(
      /data: cannot decode .*\/train\/.*\.png \(.+\); mend or remove it/,
    );
    await read(folder);
    await expect(read(folder, { strict: true })).rejects.toThrow(/cannot decode .*train\/b\/0\.png/);
  });

  it("are an error where a class is left with none", async () => {
    const folder = makeFolder(four);
    put(join(folder, "test/a/0.png"), png(8, 8, picture(1)).subarray(0, 60));
    await expect(read(folder)).rejects.toThrow(/data: no image of class a can be decoded, such as .*test\/a\/0\.png/);
  });
});

describe("the cache of decoded images", () => {
  it("keeps no failure to read, which may pass", async () => {
    const folder = makeFolder(four);
    const failing = vi.spyOn(files, "read").mockImplementation((path) => {
      if (path.endsWith("train/b/1.png")) return Promise.reject(new Error("EACCES: permission denied"));
      return Promise.resolve(readFileSync(path));
    });
    try {
      const { train } = await read(folder, { onWarning: () => undefined });
      expect([train.count, train.skipped]).toEqual([4, 1]);
    } finally {
      failing.mockRestore();
    }
    const { train } = await read(folder);
    expect([train.count, train.skipped]).toEqual([5, 0]);
  });

  const decodes = async (folder: string, options: Partial<FolderOptions> = {}): Promise<number> => {
    const spy = vi.spyOn(files, "decodeImage");
    await read(folder, options);
    const { length } = spy.mock.calls;
    spy.mockRestore();
    return length;
  };

  it("spares a second decoding, until a file or an option changes", async () => {
    const folder = makeFolder(four);
    expect(await decodes(folder)).toBe(8);
    expect(await decodes(folder)).toBe(0);
    expect(await decodes(folder, { resize: "squash" })).toBe(8);
    expect(await decodes(folder, { imageSize: 4 })).toBe(8);
    expect(await decodes(folder, { limit: 2 })).toBe(2);
    utimesSync(join(folder, "train/a/0.png"), 1, 1);
    expect(await decodes(folder)).toBe(5);
    put(join(folder, "test/b/new.png"), png(8, 8, picture(60)));
    expect(await decodes(folder)).toBe(4);
    rmSync(join(folder, "test/b/new.png"));
    expect(await decodes(folder)).toBe(0);
  });

  it("gives the same images", async () => {
    const folder = makeFolder(four);
    const [first, second] = [await read(folder), await read(folder)];
    expect(Buffer.compare(first.train.images, second.train.images)).toBe(0);
    expect(second.train.labels).toEqual(first.train.labels);
    expect(second.test.paths).toEqual(first.test.paths);
  });

  it("is passed over where it is damaged", async () => {
    const own = join(root, "own-cache");
    const folder = makeFolder(four);
    await read(folder, { cache: own });
    const [name] = readdirSync(join(own, "decoded"));
    const path = join(own, "decoded", name);
    const whole = readFileSync(path);
    for (const damaged of [
      whole.subarray(0, -1),
      whole.subarray(0, 10),
      Buffer.from("KILNIMG1\xff\xff\xff\xff\xff\xff\xff\xff{}", "latin1"),
    ]) {
      writeFileSync(path, damaged);
      expect(await decodes(folder, { cache: own })).toBeGreaterThan(0);
      expect(Buffer.compare(readFileSync(path), whole)).toBe(0);
    }
  });

  it("that cannot be written is a warning", async () => {
    const onWarning = vi.fn<(message: string) => void>();
    const { train } = await read(makeFolder(four), { cache: put(join(root, "a-file"), "x"), onWarning });
    expect(train.count).toBe(5);
    expect(onWarning.mock.calls[0][0]).toMatch(/could not be kept for the next run/);
  });

  it("tells its progress while decoding", async () => {
    const seen: string[] = [];
    await read(makeFolder(four), { onProgress: ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`) });
    expect(seen).toEqual(["decode 5/5", "decode 3/3"]);
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
