// What the sliders of the page do to the text of `--augment`.
import { describe, expect, it } from "vitest";
import { parseAugment } from "../../training/augment-grammar.ts";
import { AUGMENT_CONTROLS, readControl, writeControl, type AugmentControl } from "../../web/parts/augment-text.ts";
import { uniforms } from "../support/random.ts";

const control = (step: string): AugmentControl => AUGMENT_CONTROLS.find((one) => one.step === step)!;
const read = (text: string, step: string): number => readControl(text, control(step));
const write = (text: string, step: string, value: number): string => writeControl(text, control(step), value);

describe("reading a control", () => {
  it("finds a size however it is written", () => {
    expect(read("flip,pad-crop:3", "pad-crop")).toBe(3);
    expect(read("pad-crop:reflect:3", "pad-crop")).toBe(3);
    expect(read(" pad-crop : border=edge : size = 3 ,flip", "pad-crop")).toBe(3);
    expect(read("rotate:limit=12.5:p=0.3", "rotate")).toBe(12.5);
    expect(read("rotate:p=0.3:40", "rotate")).toBe(40);
  });

  it("is 0 without its step, and 1 for a step without a size", () => {
    for (const text of ["none", "", "shift-scale-rotate:rotate=20", "vflip"]) expect(read(text, "rotate")).toBe(0);
    expect(read("vflip", "flip")).toBe(0);
    expect(read("flip:p=0.25", "flip")).toBe(1);
  });

  it("shows the sizes that the grammar gives where none is written", () => {
    for (const { step, size } of AUGMENT_CONTROLS) {
      if (size === undefined) continue;
      const [parsed] = parseAugment(step) as unknown as Record<string, number>[];
      expect(read(`${step}:p=0.5`, step), step).toBe(parsed[size]);
    }
  });
});

describe("moving a control", () => {
  it("changes its own step and leaves the rest as it was written", () => {
    expect(write("pad-crop:2:reflect,flip:p=0.3,cutout:8:zero", "pad-crop", 5)).toBe(
      "pad-crop:5:reflect,flip:p=0.3,cutout:8:zero",
    );
    expect(write("cutout:holes=2:size=8:p=0.5", "cutout", 3)).toBe("cutout:3:holes=2:p=0.5");
    expect(write("flip:alternate,rotate", "flip", 1)).toBe("flip:alternate,rotate");
  });

  it("adds a step where it belongs: what moves the image before what covers it", () => {
    expect(write("none", "flip", 1)).toBe("flip");
    expect(write("pad-crop:2,cutout:8", "flip", 1)).toBe("pad-crop:2,flip,cutout:8");
    expect(write("flip,cutout:8", "pad-crop", 2)).toBe("pad-crop:2,flip,cutout:8");
    expect(write("pad-crop:2,flip", "cutout", 6)).toBe("pad-crop:2,flip,cutout:6");
    expect(write("flip,shift-scale-rotate:scale=0.2", "rotate", 20)).toBe(
      "flip,rotate:20,shift-scale-rotate:scale=0.2",
    );
  });

  it("takes its step away at 0, however often it is there; nothing left is none", () => {
    expect(write("pad-crop:2,flip,cutout:8", "flip", 0)).toBe("pad-crop:2,cutout:8");
    expect(write("cutout:4,flip,cutout:8", "cutout", 0)).toBe("flip");
    expect(write("flip", "flip", 0)).toBe("none");
    expect(write("vflip", "flip", 0)).toBe("vflip");
  });

  it("gives text of the grammar, with what was set and no other step changed", () => {
    const next = uniforms(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)];
    const steps = [
      "pad-crop",
      "pad-crop:3:reflect",
      "pad-crop:border=edge:size=2",
      "flip:p=0.2",
      "vflip",
      "rotate:reflect:p=0.4",
      "shift-scale-rotate:shift=0.1",
      "cutout:7:center",
      "cutout:holes=2",
    ];
    for (let i = 0; i < 300; i++) {
      const drawn = steps.filter(() => next() < 0.4).sort(() => next() - 0.5);
      // Each step once: of two, a control moves the first.
      const before = drawn.filter((one, at) => drawn.findIndex((other) => sameStep(one, other)) === at);
      const text = before.join(",") || "none";
      const moved = pick(AUGMENT_CONTROLS);
      const value = moved.size === undefined ? Math.round(next()) : Math.floor(next() * 20);
      const after = writeControl(text, moved, value);
      const parsed = parseAugment(after);
      const say = `${text} -> ${moved.step} ${value} -> ${after}`;
      expect(readControl(after, moved), say).toBe(value);
      const others = (list: ReturnType<typeof parseAugment>) => list.filter(({ kind }) => kind !== moved.step);
      expect(others(parsed), say).toEqual(others(parseAugment(text)));
      const [was, is] = [parseAugment(text), parsed].map((list) => list.find(({ kind }) => kind === moved.step));
      if (was && is && moved.size !== undefined) expect(is, say).toEqual({ ...was, [moved.size]: value });
    }
  });
});

const sameStep = (one: string, other: string): boolean => one.split(":")[0] === other.split(":")[0];
