import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { colorMapNames, colorTable, type ColorMap } from "../../../training/explain/color-maps.ts";
import { enlarge, heatMap, montage, overlay, signedDifference } from "../../../training/explain/overlay.ts";
import { randomArr } from "../../support/random.ts";

/** What OpenCV and numpy make of it: see test/pytorch/make-faithfulness.py. */
const reference = JSON.parse(readFileSync(join(import.meta.dirname, "../../pytorch/faithfulness.json"), "utf8")) as {
  tables: Record<string, string>;
  overlay: { rgb: number[]; heat: number[]; pictures: { weight: number; picture: number[] }[] };
};

describe("colour maps", () => {
  it("jet is OpenCV's to the byte, the others to within one level", () => {
    for (const [name, hexadecimal] of Object.entries(reference.tables)) {
      const want = Buffer.from(hexadecimal, "hex");
      const off = Array.from(colorTable(name as ColorMap), (level, i) => Math.abs(level - want[i]));
      expect(Math.max(...off), name).toBeLessThanOrEqual(name === "jet" ? 0 : 1);
      expect(off).toHaveLength(768);
    }
  });
  it("gray is a ramp, coolwarm goes from blue over grey to red", () => {
    expect([...colorTable("gray")]).toEqual(Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)));
    const coolwarm = colorTable("coolwarm");
    const at = (i: number): number[] => [...coolwarm.subarray(i * 3, i * 3 + 3)];
    expect([at(0), at(255)]).toEqual([
      [59, 76, 192],
      [180, 4, 38],
    ]);
    for (const level of at(128)) expect(Math.abs(level - 220)).toBeLessThanOrEqual(1);
  });
  it("of another name are refused", () => {
    expect(() => colorTable("hot" as ColorMap)).toThrow(
      `colour map "hot" is not known: choose ${colorMapNames.join(", ")}`,
    );
  });
});

describe("overlay", () => {
  const { rgb, heat, pictures } = reference.overlay;
  const image = Uint8Array.from(rgb);

  it("is show_cam_on_image to the byte", () => {
    for (const { weight, picture } of pictures) {
      expect([...overlay(image, heat, { imageWeight: weight })], `weight ${weight}`).toEqual(picture);
    }
    expect([...overlay(image, heat)]).toEqual(pictures.find(({ weight }) => weight === 0.5)!.picture);
    expect(pictures).toHaveLength(4);
  });
  it("takes another colour map", () => {
    const grey = overlay(new Uint8Array(6), [0.5, 1], { colorMap: "gray", imageWeight: 0 });
    expect([...grey]).toEqual([127, 127, 127, 255, 255, 255]);
  });
  it("of black on black is black", () => {
    expect([...overlay(new Uint8Array(3), [0], { colorMap: "gray" })]).toEqual([0, 0, 0]);
  });
  it("refuses maps of another size and weights out of range", () => {
    expect(() => overlay(new Uint8Array(12), [1, 1, 1])).toThrow(
      "a map of 3 numbers does not fit an image of 4 pixels",
    );
    expect(() => overlay(new Uint8Array(3), [1], { imageWeight: 1.5 })).toThrow("imageWeight 1.5");
  });
});

describe("heatMap", () => {
  it("cuts off to an entry of the table, and clamps", () => {
    const jet = colorTable("jet");
    const colour = (i: number): number[] => [...jet.subarray(i * 3, i * 3 + 3)];
    const heats = [0, 0.999 / 255, 1 / 255 + 1e-6, 0.5, 0.99999, 1, 1.7, -1, NaN];
    const entries = [0, 0, 1, 127, 254, 255, 255, 0, 0];
    expect([...heatMap(heats)]).toEqual(entries.flatMap(colour));
  });
});

describe("signedDifference", () => {
  it("is the grey image where the maps agree, red where the first is hotter, blue where the second is", () => {
    const rgb = Uint8Array.of(200, 100, 50, 200, 100, 50, 200, 100, 50, 0, 0, 0);
    const picture = signedDifference(rgb, [0.3, 1, 0, 0.75], [0.3, 0, 1, 0.25]);
    const grey = Math.round(0.299 * 200 + 0.587 * 100 + 0.114 * 50);
    expect([...picture]).toEqual([grey, grey, grey, 180, 4, 38, 59, 76, 192, 90, 2, 19]);
    expect(() => signedDifference(rgb, [1, 1, 1, 1], [1])).toThrow("a map of 1 numbers");
  });
});

describe("pictures", () => {
  const pixel = (value: number): number[] => [value, value + 1, value + 2];
  const picture = (width: number, height: number, first: number) => ({
    width,
    height,
    data: Uint8Array.from({ length: width * height }, (_, i) => first + 3 * i).reduce<number[]>(
      (all, value) => [...all, ...pixel(value)],
      [],
    ),
  });
  const bytes = ({ width, height, data }: { width: number; height: number; data: number[] }) => ({
    width,
    height,
    data: Uint8Array.from(data),
  });

  it("are enlarged by whole pixels", () => {
    const large = enlarge(bytes(picture(2, 1, 10)), 2);
    expect([large.width, large.height]).toEqual([4, 2]);
    const row = [10, 10, 13, 13].flatMap(pixel);
    expect([...large.data]).toEqual([...row, ...row]);
    const random = bytes({ width: 3, height: 5, data: [...randomArr([45], 1, { min: 0, max: 256 }).data] });
    expect(enlarge(random, 1)).toEqual(random);
    expect(() => enlarge(random, 1.5)).toThrow("1.5 is not a whole number");
  });

  it("are put side by side, in rows, with gaps", () => {
    const [a, b, c] = [picture(1, 1, 10), picture(2, 1, 20), picture(1, 2, 30)].map(bytes);
    const background = [7, 8, 9] as const;
    const whole = montage([a, b, c], { columns: 2, gap: 1, background });
    expect([whole.width, whole.height]).toEqual([5, 5]);
    const gap = 7;
    const rows = [
      [10, gap, gap, 20, 23],
      [gap, gap, gap, gap, gap],
      [gap, gap, gap, gap, gap],
      [30, gap, gap, gap, gap],
      [33, gap, gap, gap, gap],
    ];
    expect([...whole.data]).toEqual(rows.flat().flatMap(pixel));
    const line = montage([a, b, c]);
    expect([line.width, line.height]).toEqual([3 * 2 + 2 * 4, 2]);
    expect([...line.data.subarray(3, 6)]).toEqual([255, 255, 255]);
    expect(() => montage([])).toThrow("no pictures");
  });
});
