// Images that cannot be decoded, and the cache of those that were.
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { files } from "#files";
import sharp from "sharp";
import { decodeImage } from "../../../training/data/decode.node.ts";
import type { FolderOptions } from "../../../training/data/image-folder.ts";
import { picture, png, put } from "./fixtures.ts";
import { four, imageFolders, numbers } from "./folders.ts";

const { root, makeFolder, read } = imageFolders();

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
