// The random part of augmentation: what happens to one image in one step.
import type { AffineMap, Box, Size } from "../../engine/index.ts";
import { Purpose, Random } from "../../engine/random.ts";
import type { AugmentStep } from "../augment-grammar.ts";
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

/** Which image, when: what all randomness is keyed by. */
export interface DrawKey {
  readonly seed: number;
  readonly epoch: number;
  readonly index: number;
}

/**
 * Draws a step for an image of `size`. Every step draws all of its numbers, whether it happens or not: what the steps after it
 * draw does not depend on that.
 */
export function drawStep(step: AugmentStep, size: Size, output: Size, random: Random, key: DrawKey): Drawn {
  const drawnToHappen = "p" in step ? random.uniform() < step.p : true;
  const happens = step.kind === "flip" && step.alternate ? alternates(key) : drawnToHappen;
  const drawn = drawAlways(step, size, output, random);
  return happens ? drawn : { kind: "nothing" };
}

/** Drawn once for the image, and the other way round in every other epoch. */
function alternates({ seed, epoch, index }: DrawKey): boolean {
  return ((new Random(seed, 0, index, Purpose.augment).u32() >>> 31) + epoch) % 2 === 1;
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
        boxes: Array.from({ length: step.holes }, () => drawBox(step, size, random)),
      };
  }
}

function drawBox(step: AugmentStep & { kind: "cutout" }, [height, width]: Size, random: Random): Box {
  const [y0, y1] = drawInterval(step, height, random);
  const [x0, x1] = drawInterval(step, width, random);
  return [x0, y0, x1, y1];
}

/**
 * inside: the start is uniform in 0 .. extent - size. center: the centre is uniform in 0 .. extent - 1 and both ends are cut off.
 * clipped: the centre is uniform in 0 .. extent, the start is pushed to 0 first, so that only the far end is cut off.
 */
function drawInterval(
  { size, place, canvas }: AugmentStep & { kind: "cutout" },
  image: number,
  random: Random,
): [number, number] {
  const extent = canvas ?? image;
  const origin = Math.floor((extent - image) / 2);
  if (place === "inside") {
    const start = random.below(extent - size + 1) - origin;
    return [start, start + size];
  }
  const start = random.below(place === "clipped" ? extent + 1 : extent) - Math.floor(size / 2);
  const low = Math.max(0, start);
  return [low - origin, Math.min(extent, (place === "clipped" ? low : start) + size) - origin];
}
