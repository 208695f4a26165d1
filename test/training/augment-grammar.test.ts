import { describe, expect, it } from "vitest";
import { augmentNames, parseAugment } from "../../training/augment-grammar.ts";

describe("--augment", () => {
  it("reads the whole example of the documentation, in order", () => {
    const text = "pad-crop:4:reflect,flip,vflip,rotate:15,shift-scale-rotate,cutout:16:p=0.2:fill=mean:place=inside";
    expect(parseAugment(text)).toEqual([
      { kind: "pad-crop", size: 4, border: "reflect", fill: 0 },
      { kind: "flip", p: 0.5, alternate: false },
      { kind: "vflip", p: 0.5 },
      { kind: "rotate", limit: 15, p: 0.5, border: "reflect101", fill: 0 },
      { kind: "shift-scale-rotate", shift: 0.0625, scale: 0.1, rotate: 45, p: 0.5, border: "reflect101", fill: 0 },
      { kind: "cutout", size: 16, p: 0.2, fill: "mean", place: "inside", holes: 1, canvas: null },
    ]);
  });

  it.each<[string, object[]]>([
    ["none", []],
    [" none ", []],
    [
      "flip, cutout",
      [{ kind: "flip" }, { kind: "cutout", size: 16, p: 1, fill: "mean", place: "inside", holes: 1, canvas: null }],
    ],
    ["cutout, flip:p=1", [{ kind: "cutout" }, { kind: "flip", p: 1 }]],
    ["flip:alternate", [{ kind: "flip", alternate: true }]],
    ["cutout:8:canvas=64:center", [{ kind: "cutout", size: 8, canvas: 64, place: "center" }]],
    ["pad-crop", [{ kind: "pad-crop", size: 4, border: "constant", fill: 0 }]],
    ["pad-crop:2:reflect101", [{ size: 2, border: "reflect101" }]],
    ["pad-crop:edge:size=3", [{ size: 3, border: "edge" }]],
    ["pad-crop:fill=mean", [{ border: "constant", fill: "mean" }]],
    ["rotate:30:p=1:border=constant:fill=128", [{ limit: 30, p: 1, border: "constant", fill: 128 }]],
    ["shift-scale-rotate:shift=0.1:scale=0:rotate=5:p=0.3", [{ shift: 0.1, scale: 0, rotate: 5, p: 0.3 }]],
    ["cutout:8:clipped:fill=zero:holes=8", [{ size: 8, place: "clipped", fill: 0, holes: 8 }]],
    ["cutout:center", [{ place: "center" }]],
  ])("%s", (text, want) => {
    const steps = parseAugment(text);
    expect(steps).toHaveLength(want.length);
    expect(steps).toMatchObject(want);
  });

  it.each<[string, string]>([
    ["", `unknown augmentation ""`],
    ["flipp", `unknown augmentation "flipp"; did you mean "flip"? (known: ${augmentNames.join(", ")}, none)`],
    ["flip,", `unknown augmentation ""`],
    ["flip,none", `"none" stands alone`],
    ["constructor", `unknown augmentation "constructor"`],
    ["flip:0.3", `flip: takes no size; "0.3" needs a name, as in p=0.5 (known: p, alternate)`],
    ["flip:p=1.5", `flip: p must be a probability between 0 and 1, not "1.5"`],
    ["flip:p=", `flip: p must be a probability between 0 and 1, not ""`],
    ["pad-crop:0", `pad-crop: size must be a whole number of pixels >= 1, not "0"`],
    ["pad-crop:4:5", "pad-crop: size is given twice"],
    [
      "pad-crop:4:mirror",
      `unknown option "mirror" (known: size=...; border=...; fill=...; border one of constant, edge`,
    ],
    ["pad-crop:4:p=0.5", `pad-crop: unknown option "p" (known: size, border, fill)`],
    ["rotate:200", `rotate: limit must be an angle between 0 and 180 degrees, not "200"`],
    ["cutout:8:fill=0.49", `cutout: fill must be mean, zero, or a pixel value 0..255, not "0.49"`],
    ["cutout:8:place=outside", `place must be one of inside, center, clipped, not "outside"`],
    ["cutout:holes=9", `holes must be a whole number from 1 to 8, not "9"`],
    ["cutout::p=1", `cutout: unknown option ""`],
  ])("%s is refused", (text, message) => {
    expect(() => parseAugment(text)).toThrow(message);
  });
});
