// Where each step of an augmentation is carried out: what comes before the rotations, with them, and after them.
import { MAX_BOXES, type BorderRule, type BoxFrame, type GatherLayout, type Size } from "../../engine/index.ts";
import type { AugmentStep } from "../augment-grammar.ts";

/** The kernel's stages, see shaders/augment/gather.wgsl. Without rotations everything is in `post`. */
export type Stage = "pre" | "affine" | "post";

export interface AugmentPlan {
  readonly stages: readonly Stage[];
  /** The image's size before each step, and after the last. */
  readonly sizes: readonly Size[];
  /** The frame in which the boxes of a step are tested; null for steps other than cutout. */
  readonly frames: readonly (BoxFrame | null)[];
}

const isAffine = (step: AugmentStep): boolean => step.kind === "rotate" || step.kind === "shift-scale-rotate";
const show = ([height, width]: Size): string => `${width}x${height}`;

/** Throws one line where the steps do not fit each other or the sizes. */
export function planAugment(steps: readonly AugmentStep[], image: Size, output: Size): AugmentPlan {
  const first = steps.findIndex(isAffine);
  const last = steps.findLastIndex(isAffine);
  const stages = steps.map((_, i): Stage => (first < 0 || i > last ? "post" : i < first ? "pre" : "affine"));
  const sizes: Size[] = [image];
  steps.forEach((step, i) => {
    checkStep(step, sizes[i], output);
    sizes.push(step.kind === "pad-crop" ? output : sizes[i]);
  });
  const end = sizes[steps.length];
  if (end[0] < output[0] || end[1] < output[1]) {
    throw new Error(`augment: images of ${show(end)} cannot be cropped to ${show(output)}`);
  }
  const holes = steps.reduce((sum, step) => sum + (step.kind === "cutout" ? step.holes : 0), 0);
  if (holes > MAX_BOXES) throw new Error(`augment: at most ${MAX_BOXES} cutout holes, got ${holes}`);
  const crops = { pre: cropOf("pre", steps, stages), post: cropOf("post", steps, stages) };
  // Where no step after the rotations crops, the centre is cropped at the end.
  if (crops.post < 0 && show(end) !== show(output)) crops.post = steps.length;
  return { stages, sizes, frames: steps.map((step, i) => frameOf(step, i, stages[i], crops)) };
}

/** A crop's border rule makes two frames of its stage: a box stays where it was cut. */
function frameOf(step: AugmentStep, i: number, stage: Stage, crops: { pre: number; post: number }): BoxFrame | null {
  if (step.kind !== "cutout") return null;
  if (stage === "affine") throw new Error("augment: cutout between two rotations; put it before or after both");
  if (stage === "pre") return i < crops.pre ? "source" : "inner";
  return i < crops.post ? "outer" : "output";
}

function cropOf(stage: Stage, steps: readonly AugmentStep[], stages: readonly Stage[]): number {
  const all = steps.flatMap((step, i) => (step.kind === "pad-crop" && stages[i] === stage ? [i] : []));
  if (all.length > 1) throw new Error("augment: pad-crop is given twice; give one with the sum of the paddings");
  return all[0] ?? -1;
}

function checkStep(step: AugmentStep, size: Size, output: Size): void {
  const smallest = Math.min(...size);
  if (step.kind === "pad-crop" && size.some((n, i) => n + 2 * step.size < output[i])) {
    throw new Error(
      `augment: pad-crop: images of ${show(size)} padded by ${step.size} are smaller than ${show(output)}`,
    );
  }
  if (step.kind !== "cutout") return;
  if (step.canvas !== null && step.canvas < Math.max(...size)) {
    throw new Error(`augment: cutout: a canvas of ${step.canvas} pixels is smaller than images of ${show(size)}`);
  }
  if (step.place === "inside" && step.size > (step.canvas ?? smallest)) {
    throw new Error(`augment: cutout: a square of ${step.size} pixels does not fit into images of ${show(size)}`);
  }
}

/** What the kernel must know about all images of a batch. */
export function layoutOf(steps: readonly AugmentStep[], plan: AugmentPlan, output: Size): GatherLayout {
  const { stages, sizes, frames } = plan;
  const first = stages.indexOf("affine");
  const last = stages.lastIndexOf("affine");
  const rule = (stage: Stage): BorderRule => {
    // Composed rotations are one map with one border: the last one's.
    const step = steps.findLast((s, i) => stages[i] === stage && isAffine(s) === (stage === "affine") && "border" in s);
    return step && "border" in step ? { border: step.border, fill: step.fill } : { border: "constant", fill: 0 };
  };
  return {
    output,
    inner: first < 0 ? sizes[0] : sizes[first],
    outer: first < 0 ? sizes[0] : sizes[last + 1],
    pre: rule("pre"),
    affine: first < 0 ? null : rule("affine"),
    post: rule("post"),
    boxes: steps.flatMap((step, i) => {
      const frame = frames[i];
      if (step.kind !== "cutout" || !frame) return [];
      return Array.from({ length: step.holes }, () => ({ frame, fill: step.fill }));
    }),
  };
}
