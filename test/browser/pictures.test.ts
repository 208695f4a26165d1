// Pixels in and out of a browser: decoding images, writing PNG, drawing charts, in the page and in a worker.
import { describe, expect, it } from "vitest";
import { files } from "../../training/files.browser.ts";
import type { DecodedImage } from "../../training/files.ts";
import { pictures } from "../../training/pictures.browser.ts";
import { drawFigure } from "../../training/report/figure.ts";
import { curve } from "./curve.ts";
import { startWorker } from "./start-worker.ts";

type Pixel = (x: number, y: number) => readonly number[];

/** An image file of a formula, by the browser's own encoder; its pixels are RGBA. */
async function encoded(width: number, height: number, pixel: Pixel, type = "image/png"): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) image.data.set(pixel(x, y), 4 * (y * width + x));
  context.putImageData(image, 0, 0);
  return new Uint8Array(await (await canvas.convertToBlob({ type, quality: 1 })).arrayBuffer());
}

/** APP1 of a JPEG that says how the camera was held. */
function withOrientation(jpeg: Uint8Array, orientation: number): Uint8Array<ArrayBuffer> {
  const exif = [0xff, 0xe1, 0, 34, ...new TextEncoder().encode("Exif\0\0MM\0*\0\0\0\b")];
  const entry = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...jpeg.subarray(0, 2), ...exif, ...entry, ...jpeg.subarray(2)]);
}

function at({ width, data }: DecodedImage, x: number, y: number): number[] {
  return [...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
}

describe("decodeImage", () => {
  it("gives rows of RGB, of a PNG that pngjs wrote", async () => {
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6BAAAAHElEQVR4AWNkYDD6n8LAwMDCkMIABiwMKQxgAAAtzwJnsNoqsQAAAABJRU5ErkJggg==";
    const image = await files.decodeImage(Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0)));
    expect([image.width, image.height]).toEqual([2, 3]);
    expect([...image.data]).toEqual([0, 0, 50, 100, 0, 50, 0, 100, 50, 100, 100, 50, 0, 200, 50, 100, 200, 50]);
  });

  it("flattens transparency onto white", async () => {
    const image = await files.decodeImage(await encoded(3, 1, (x) => [10, 20, 30, [0, 255, 51][x]]));
    const [clear, solid, fifth] = [0, 1, 2].map((x) => at(image, x, 0));
    expect([clear, solid]).toEqual([
      [255, 255, 255],
      [10, 20, 30],
    ]);
    // A canvas stores colours times alpha: in steps of 5 at an alpha of 51.
    [206, 208, 210].forEach((want, c) => expect(Math.abs(fifth[c] - want)).toBeLessThanOrEqual(3));
  });

  it("crops the middle or squashes the whole", async () => {
    const wide = await encoded(64, 16, (x) =>
      x < 24 ? [255, 0, 0, 255] : x < 40 ? [0, 255, 0, 255] : [0, 0, 255, 255],
    );
    const crop = await files.decodeImage(wide, { size: 8, mode: "crop" });
    expect([crop.width, crop.height]).toEqual([8, 8]);
    for (let x = 0; x < 8; x++) expect(at(crop, x, 4)[1]).toBeGreaterThan(200);
    const squash = await files.decodeImage(wide, { size: 8, mode: "squash" });
    expect([squash.width, squash.height]).toEqual([8, 8]);
    expect(at(squash, 0, 0)[0]).toBeGreaterThan(200);
    expect(at(squash, 7, 7)[2]).toBeGreaterThan(200);
  });

  it("turns a photograph upright by its EXIF orientation", async () => {
    const lying = await encoded(16, 8, (x) => (x < 8 ? [250, 0, 0, 255] : [0, 0, 250, 255]), "image/jpeg");
    const image = await files.decodeImage(withOrientation(lying, 6));
    expect([image.width, image.height]).toEqual([8, 16]);
    // Orientation 6: the left edge as stored is the top.
    expect(at(image, 4, 0)[0]).toBeGreaterThan(200);
    expect(at(image, 4, 15)[2]).toBeGreaterThan(200);
  });

  it("refuses what is cut or no image", async () => {
    const noisy = await encoded(64, 64, (x, y) => [(x * y * 7) % 256, (x * 31 + y) % 256, (y * 57) % 256, 255]);
    await expect(files.decodeImage(noisy.subarray(0, noisy.length / 2))).rejects.toThrow();
    await expect(files.decodeImage(new TextEncoder().encode("no image at all"))).rejects.toThrow();
    await expect(files.decodeImage(new Uint8Array())).rejects.toThrow();
  });
});

describe("encodePng", () => {
  const image = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) % 256) };

  it("is decoded to the same pixels, by the page and by a worker", async () => {
    const { remote } = startWorker();
    expect(await files.decodeImage(await pictures.encodePng(image))).toEqual(image);
    expect(await files.decodeImage(await remote.encodePng(image))).toEqual(image);
    expect(await remote.decodeImage(await pictures.encodePng(image))).toEqual(image);
  });
});

describe("charts", () => {
  const isRed = ([r, g, b]: number[]): boolean => r > 200 && g < 60 && b < 60;

  /** How many pixels the curve has, of how many. */
  async function redIn(png: Uint8Array): Promise<{ size: number[]; red: number; corner: number[] }> {
    const image = await files.decodeImage(png);
    let red = 0;
    for (let y = 0; y < image.height; y++) for (let x = 0; x < image.width; x++) red += Number(isRed(at(image, x, y)));
    return { size: [image.width, image.height], red, corner: at(image, 0, 0) };
  }

  it("become pixels at twice their size on white, or as told", async () => {
    const { svg } = drawFigure("curve", "A curve", curve);
    const plain = await redIn(await pictures.svgToPng(svg));
    expect(plain).toMatchObject({ size: [1040, 560], corner: [255, 255, 255] });
    // A line 8 pixels wide over the 900 between the margins.
    expect(plain.red).toBeGreaterThan(8 * 800);
    expect(plain.red).toBeLessThan(8 * 2000);
    const other = await redIn(await pictures.svgToPng(svg, { scale: 1, background: "#204060" }));
    expect(other).toMatchObject({ size: [520, 280], corner: [0x20, 0x40, 0x60] });
    expect(other.red).toBeLessThan(plain.red / 3);
  });

  it("are drawn in a worker that was given a document, the same as in the page", async () => {
    const { remote } = startWorker();
    await expect(remote.drawCurve(false)).rejects.toThrow("call useDocument() first");
    const there = await redIn(await pictures.svgToPng(await remote.drawCurve(true)));
    const here = await redIn(await pictures.svgToPng(drawFigure("curve", "A curve", curve).svg));
    expect(there).toEqual(here);
    await expect(remote.svgToPng("<svg/>")).rejects.toThrow("svgToPng: a worker cannot draw SVG; call it in the page");
  });

  it("refuse what is no SVG", async () => {
    await expect(pictures.svgToPng("no picture")).rejects.toThrow();
  });
});
