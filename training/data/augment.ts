// Augmentation: a list of steps becomes one layout (the same for every image) and, for each image of a batch, one record that
// says where each output pixel comes from. Everything random is drawn on the CPU from (seed, epoch, image index), so that a batch
// can be replayed; the pixels are moved by one kernel (engine/ops/augment.ts).
//
// Crops and flips move whole pixels and are exact. Rotations and scalings, with all that stands between them, are composed into
// one map and interpolated once, without rounding to bytes: sharper than one pass each.
import {
  IDENTITY,
  UNMOVED,
  type Box,
  type GatherLayout,
  type ImageRecord,
  type PixelMap,
  type Size,
} from "../../engine/index.ts";
import { Purpose, Random } from "../../engine/random.ts";
import type { AugmentStep } from "../augment-grammar.ts";
import { compose, invert, shiftMap } from "./affine.ts";
import { drawStep, type Drawn } from "./augment-draw.ts";
import { layoutOf, planAugment, type AugmentPlan } from "./augment-plan.ts";

/** An augmentation for images of one size. Pure: the same (seed, epoch, index) always gives the same record. */
export class Augmentation {
  readonly steps: readonly AugmentStep[];
  readonly output: Size;
  /** For `gatherImages`. */
  readonly layout: GatherLayout;
  readonly #plan: AugmentPlan;
  /** To the centre, after all steps: moves nothing where a step has cropped already. */
  readonly #lastCrop: Drawn;

  /** Sizes are [height, width]. Throws one line where the steps do not fit each other or the sizes. */
  constructor(steps: readonly AugmentStep[], image: Size, output: Size = image) {
    this.steps = steps;
    this.output = output;
    this.#plan = planAugment(steps, image, output);
    this.layout = layoutOf(steps, this.#plan, output);
    const [height, width] = this.#plan.sizes[steps.length];
    const [y, x] = [Math.floor((height - output[0]) / 2), Math.floor((width - output[1]) / 2)];
    this.#lastCrop = { kind: "crop", x, y, size: output };
  }

  /** What happens to image `index` in `epoch`: one entry a step. */
  draw(seed: number, epoch: number, index: number): Drawn[] {
    const random = new Random(seed, epoch, index, Purpose.augment);
    const key = { seed, epoch, index };
    return this.steps.map((step, i) => drawStep(step, this.#plan.sizes[i], this.output, random, key));
  }

  /** The same as the kernel wants it. */
  record(index: number, drawn: readonly Drawn[]): ImageRecord {
    const maps = { pre: UNMOVED, post: UNMOVED };
    let affine = IDENTITY;
    [...drawn, this.#lastCrop].forEach((what, i) => {
      const stage = this.#plan.stages[i] ?? "post";
      if (what.kind === "affine") affine = compose(affine, invert(what.forward));
      if (what.kind !== "flip" && what.kind !== "crop") return;
      const step = pixelMap(what, this.#plan.sizes[i]);
      if (stage !== "affine") maps[stage] = shiftMap(maps[stage], step);
      else affine = compose(affine, [step.signX, 0, step.offsetX, 0, step.signY, step.offsetY]);
    });
    return { image: index, ...maps, affine, boxes: this.steps.flatMap((step, i) => this.#boxes(step, i, drawn)) };
  }

  /** The records of a batch, for `gatherImages`. */
  records(seed: number, epoch: number, indices: ArrayLike<number>): ImageRecord[] {
    return Array.from(indices, (index) => this.record(index, this.draw(seed, epoch, index)));
  }

  /** The boxes of step `own`, moved by the flips that lie between it and the frame where they are tested. */
  #boxes(step: AugmentStep, own: number, drawn: readonly Drawn[]): Box[] {
    if (step.kind !== "cutout") return [];
    const what = drawn[own];
    if (what.kind !== "boxes") return Array.from({ length: step.holes }, () => [0, 0, 0, 0]);
    const { stages, sizes, frames } = this.#plan;
    const forwards = frames[own] === "output" || frames[own] === "inner";
    const between = (i: number): boolean => stages[i] === stages[own] && (forwards ? i > own : i < own);
    return what.boxes.map((box) =>
      drawn.reduce((moved, other, i) => {
        return other.kind === "flip" && between(i) ? flipBox(moved, other.axis, sizes[i]) : moved;
      }, box),
    );
  }
}

function flipBox([x0, y0, x1, y1]: Box, axis: "x" | "y", [height, width]: Size): Box {
  return axis === "x" ? [width - x1, y0, width - x0, y1] : [x0, height - y1, x1, height - y0];
}

/** From output to input. */
function pixelMap(what: Drawn & { kind: "flip" | "crop" }, [height, width]: Size): PixelMap {
  if (what.kind === "crop") return { ...UNMOVED, offsetX: what.x, offsetY: what.y };
  return what.axis === "x"
    ? { ...UNMOVED, signX: -1, offsetX: width - 1 }
    : { ...UNMOVED, signY: -1, offsetY: height - 1 };
}
