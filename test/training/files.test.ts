import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { PNG } from "pngjs";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { files } from "#files";
import { files as pageFiles } from "../../training/files.browser.ts";
import { png, put, temporaryFolder } from "./data/fixtures.ts";

const root = temporaryFolder();
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe.each([
  ["disk", files, root],
  ["page", pageFiles, "/here"],
  // Node has no OPFS: memory steps in. test/browser/kept-files.test.ts has the real one.
  ["page, kept", pageFiles, "/kept/here"],
])("files of the %s", (_, store, folder) => {
  it("writes whole files, replaces them, appends to them", async () => {
    await store.makeDirectory(`${folder}/a/b`);
    const path = `${folder}/a/b/file`;
    await store.writeAtomic(path, "grün\n");
    expect(await store.readText(path)).toBe("grün\n");
    await store.append(path, "more");
    await store.append(`${folder}/a/b/new`, "first");
    expect(await store.readText(path)).toBe("grün\nmore");
    expect(await store.readText(`${folder}/a/b/new`)).toBe("first");
    await store.writeAtomic(path, [bytes(1, 2), bytes(), bytes(3)]);
    await store.appendBytes(path, bytes(0, 255));
    expect([...(await store.read(path))]).toEqual([1, 2, 3, 0, 255]);
    await store.writeAtomic(path, bytes(9));
    expect((await store.stat(path)).size).toBe(1);
  });

  it("lists a folder by name with sizes, and tells what exists", async () => {
    await store.makeDirectory(`${folder}/list/inner`);
    for (const name of ["b.txt", "B.txt", "10", "9"]) await store.writeAtomic(`${folder}/list/${name}`, name);
    await store.writeAtomic(`${folder}/list/inner/deep`, "");
    const entries = await store.list(`${folder}/list`);
    expect(entries.map((entry) => entry.name)).toEqual(["10", "9", "B.txt", "b.txt", "inner"]);
    expect(entries.map((entry) => entry.directory)).toEqual([false, false, false, false, true]);
    expect(entries[2].size).toBe(5);
    expect(Math.abs(entries[2].modified - Date.now())).toBeLessThan(60_000);
    expect(await store.exists(`${folder}/list/9`)).toBe(true);
    expect(await store.exists(`${folder}/list/inner`)).toBe(true);
    expect((await store.stat(`${folder}/list/inner`)).directory).toBe(true);
    expect(await store.exists(`${folder}/list/none`)).toBe(false);
    await expect(store.stat(`${folder}/list/none`)).rejects.toThrow(/no such file/);
  });

  it("removes files and folders, and minds nothing that is not there", async () => {
    await store.makeDirectory(`${folder}/gone/inner`);
    await store.writeAtomic(`${folder}/gone/inner/x`, "x");
    await store.writeAtomic(`${folder}/gone/y`, "y");
    await store.remove(`${folder}/gone/y`);
    expect(await store.exists(`${folder}/gone/y`)).toBe(false);
    expect(await store.exists(`${folder}/gone/inner/x`)).toBe(true);
    await store.remove(`${folder}/gone`);
    expect(await store.exists(`${folder}/gone/inner/x`)).toBe(false);
    await store.remove(`${folder}/gone`);
  });

  it("makes paths absolute", () => {
    expect(store.absolute("/a/./b/../c/")).toBe("/a/c");
  });
});

describe("kept files where the browser keeps none", () => {
  it("are never asked of the server", async () => {
    await expect(pageFiles.read("/kept/none")).rejects.toThrow("/kept/none: no such file in this page");
    await expect(pageFiles.readText("/kept/none")).rejects.toThrow("/kept/none: no such file in this page");
  });
});

describe("files on the disk", () => {
  it("leaves the old file and no temporary one when a write fails", async () => {
    const folder = join(root, "fails");
    mkdirSync(join(folder, "taken"), { recursive: true });
    put(join(folder, "taken", "old"), "old");
    // A folder that is not empty cannot be renamed over: the last step of the write fails.
    await expect(files.writeAtomic(join(folder, "taken"), "new")).rejects.toThrow();
    expect(readFileSync(join(folder, "taken", "old"), "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["taken"]);
    await expect(files.writeAtomic(join(folder, "none", "x"), "new")).rejects.toThrow(/ENOENT/);
  });

  it("replaces by renaming: who has the old file open goes on reading it", async () => {
    const path = put(join(root, "renamed"), "old");
    const before = statSync(path).ino;
    await files.writeAtomic(path, "new");
    expect(statSync(path).ino).not.toBe(before);
  });

  it("leaves dangling links out of a list", async () => {
    const folder = join(root, "links");
    put(join(folder, "real"), "12");
    symlinkSync(join(folder, "real"), join(folder, "link"));
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    expect((await files.list(folder)).map((entry) => [entry.name, entry.size])).toEqual([
      ["link", 2],
      ["real", 2],
    ]);
  });

  it("keeps its cache where KILN_CACHE says", () => {
    const before = process.env.KILN_CACHE;
    process.env.KILN_CACHE = "/somewhere/else";
    expect(files.cacheDirectory()).toBe("/somewhere/else");
    delete process.env.KILN_CACHE;
    expect(files.cacheDirectory()).toMatch(/kiln/);
    if (before !== undefined) process.env.KILN_CACHE = before;
  });
});

describe("decodeImage", () => {
  const corners = (x: number, y: number): [number, number, number] => [x * 100, y * 100, 50];

  it("gives rows of RGB", async () => {
    const image = await files.decodeImage(png(2, 3, corners));
    expect([image.width, image.height]).toEqual([2, 3]);
    expect([...image.data]).toEqual([0, 0, 50, 100, 0, 50, 0, 100, 50, 100, 100, 50, 0, 200, 50, 100, 200, 50]);
  });

  it("turns a photograph upright by its EXIF orientation", async () => {
    const lying = await sharp(png(16, 8, (x) => (x < 8 ? [250, 0, 0] : [0, 0, 250])))
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
      .toBuffer();
    const image = await files.decodeImage(lying);
    expect([image.width, image.height]).toEqual([8, 16]);
    // Orientation 6: the left edge as stored is the top.
    expect(image.data[0]).toBeGreaterThan(200);
    expect(image.data[15 * 8 * 3 + 2]).toBeGreaterThan(200);
  });

  it("flattens transparency onto white", async () => {
    const image = new PNG({ width: 3, height: 1 });
    image.data.set([10, 20, 30, 0, 10, 20, 30, 255, 0, 0, 0, 51]);
    expect([...(await files.decodeImage(PNG.sync.write(image))).data]).toEqual([
      255, 255, 255, 10, 20, 30, 204, 204, 204,
    ]);
  });

  it("spreads grey, of 8 and 16 bits, over three channels", async () => {
    const grey = await sharp(Buffer.from([0, 128, 255, 7]), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toBuffer();
    expect([...(await files.decodeImage(grey)).data]).toEqual([0, 0, 0, 128, 128, 128, 255, 255, 255, 7, 7, 7]);
    const deep = new Uint16Array([0, 0x8080, 0xffff, 0x0707]);
    const grey16 = PNG.sync.write(Object.assign(new PNG({ width: 2, height: 2 }), { data: Buffer.from(deep.buffer) }), {
      bitDepth: 16,
      colorType: 0,
      inputColorType: 0,
      inputHasAlpha: false,
    });
    expect([...(await files.decodeImage(grey16)).data]).toEqual([0, 0, 0, 128, 128, 128, 255, 255, 255, 7, 7, 7]);
  });

  it("reads WebP, GIF and CMYK JPEG", async () => {
    const image = sharp(png(8, 8, () => [200, 40, 90]));
    const cmyk = await image.clone().toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
    for (const data of [
      await image.clone().webp({ lossless: true }).toBuffer(),
      await image.clone().gif().toBuffer(),
      cmyk,
    ]) {
      const { data: pixels, width } = await files.decodeImage(data);
      expect(width).toBe(8);
      expect(pixels.length).toBe(192);
      // CMYK's gamut is smaller than RGB's.
      [200, 40, 90].forEach((want, c) => expect(Math.abs(pixels[c] - want)).toBeLessThan(40));
    }
  });

  it("crops the middle or squashes the whole", async () => {
    const wide = png(64, 16, (x) => (x < 24 ? [255, 0, 0] : x < 40 ? [0, 255, 0] : [0, 0, 255]));
    const crop = await files.decodeImage(wide, { size: 8, mode: "crop" });
    expect([crop.width, crop.height]).toEqual([8, 8]);
    for (let i = 0; i < 8; i++) expect(crop.data[i * 3 + 1]).toBeGreaterThan(200);
    const squash = await files.decodeImage(wide, { size: 8, mode: "squash" });
    expect([squash.width, squash.height]).toEqual([8, 8]);
    expect(squash.data[0]).toBeGreaterThan(200);
    expect(squash.data[7 * 3 + 2]).toBeGreaterThan(200);
  });

  it("refuses what is cut or no image", async () => {
    const noisy = png(64, 64, (x, y) => [(x * y * 7) % 256, (x * 31 + y) % 256, (y * 57) % 256]);
    const whole = await sharp(noisy).jpeg().toBuffer();
    await expect(files.decodeImage(whole.subarray(0, whole.length / 2))).rejects.toThrow();
    await expect(files.decodeImage(noisy.subarray(0, noisy.length / 2))).rejects.toThrow();
    await expect(files.decodeImage(new TextEncoder().encode("no image at all"))).rejects.toThrow();
    await expect(files.decodeImage(bytes())).rejects.toThrow();
  });
});
