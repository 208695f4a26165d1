// The random part of augmentation: what happens to one image in one step.
import type { AffineMap, Box, Size } from "../../engine/index.ts";
import type { Random } from "../../engine/random.ts";
import type { AugmentStep, Place } from "../augment-grammar.ts";
import { forwardRotation } from "./affine.ts";

/** What was drawn for one step and one image. */
export type Drawn =
  /** Top left corner of the crop in pixels of the image before padding (negative: in the padding). */
  | { readonly kind: "crop"; readonly x: number; readonly y: number; readonly size: Size }
  | { readonly kind: "flip"; readonly axis: "x" | "y" }
  /** From input to output pixel centres. */
  | { readonly kind: "affine"; readonly forward: AffineMap }
  | { readonly kind: "boxes"; readonly boxes: readonly Box[] }
  | { readonly kind: "nothing" };

/**
 * Draws a step for an image of `size`. Every step draws all of its numbers, whether it happens or not: what the steps after it
 * draw does not depend on that.
 */
export function drawStep(step: AugmentStep, size: Size, output: Size, random: Random): Drawn {
  const happens = "p" in step ? random.uniform() < step.p : true;
  const drawn = drawAlways(step, size, output, random);
  return happens ? drawn : { kind: "nothing" };
}

function drawAlways(step: AugmentStep, size: Size, output: Size, random: Random): Drawn {
  const [height, width] = size;
  switch (step.kind) {
    case "pad-crop": {
      const x = random.below(width + 2 * step.size - output[1] + 1) - step.size;
      const y = random.below(height + 2 * step.size - output[0] + 1) - step.size;
      return { kind: "crop", x, y, size: output };
    }
    case "flip":
      return { kind: "flip", axis: "x" };
    case "vflip":
      return { kind: "flip", axis: "y" };
    case "rotate": {
      const angle = random.uniform(-step.limit, step.limit);
      return { kind: "affine", forward: forwardRotation(width, height, { angle, scale: 1, shiftX: 0, shiftY: 0 }) };
    }
    case "shift-scale-rotate": {
      const angle = random.uniform(-step.rotate, step.rotate);
      const scale = 1 + random.uniform(-step.scale, step.scale);
      const shiftX = random.uniform(-step.shift, step.shift) * width;
      const shiftY = random.uniform(-step.shift, step.shift) * height;
      return { kind: "affine", forward: forwardRotation(width, height, { angle, scale, shiftX, shiftY }) };
    }
    case "cutout":
      return {
        kind: "boxes",
        boxes: Array.from({ length: step.holes }, () => drawBox(step.size, size, step.place, random)),
      };
  }
}

function drawBox(size: number, [height, width]: Size, place: Place, random: Random): Box {
  const [y0, y1] = drawInterval(size, height, place, random);
  const [x0, x1] = drawInterval(size, width, place, random);
  return [x0, y0, x1, y1];
}

/**
 * inside: the start is uniform in 0 .. extent - size. center: the centre is uniform in 0 .. extent - 1 and both ends are cut off.
 * clipped: the centre is uniform in 0 .. extent, the start is pushed to 0 first, so that only the far end is cut off.
 */
function drawInterval(size: number, extent: number, place: Place, random: Random): [number, number] {
  if (place === "inside") {
    const start = random.below(extent - size + 1);
    return [start, start + size];
  }
  const start = random.below(place === "clipped" ? extent + 1 : extent) - Math.floor(size / 2);
  const low = Math.max(0, start);
  return [low, Math.min(extent, (place === "clipped" ? low : start) + size)];
}
