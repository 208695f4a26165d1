// From what `--augment` says to the steps that are drawn.
import type { AugmentStep as WrittenStep } from "../augment-grammar.ts";
import type { AugmentStep } from "./augment.ts";

/** Several holes are as many cutouts. */
export function drawableSteps(steps: readonly WrittenStep[]): AugmentStep[] {
  return steps.flatMap((step): AugmentStep[] => {
    const { kind } = step;
    switch (kind) {
      case "pad-crop":
        return [{ name: kind, pad: step.size, border: step.border, fill: step.fill }];
      case "flip":
      case "vflip":
        return [{ name: kind, p: step.p }];
      case "rotate":
        return [{ name: kind, degrees: step.limit, border: step.border, fill: step.fill, p: step.p }];
      case "shift-scale-rotate": {
        const { shift, scale, rotate, border, fill, p } = step;
        return [{ name: kind, shift, scale, degrees: rotate, border, fill, p }];
      }
      case "cutout": {
        const { size, fill, place, p, holes } = step;
        return Array.from({ length: holes }, () => ({ name: kind, size, fill, place, p }));
      }
    }
  });
}
