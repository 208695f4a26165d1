// Test-time augmentation: a prediction from several views of an image.
import { gather, scope, type Tensor } from "../engine/index.ts";
import type { Module } from "../nn/index.ts";
import { checkWords } from "./suggest.ts";

/** none: the image. mirror: it and its mirror image. six: both, and the same of the image moved a pixel to either corner. */
export const TTA_VIEWS = ["none", "mirror", "six"] as const;
export type Tta = (typeof TTA_VIEWS)[number];

/**
 * Logits [N, classes] of images [N, H, W, C]: the mean over the views; of six the two unmoved ones weigh as much together as the four
 * moved ones (Jordan, arXiv 2404.00498). What a move uncovers is reflected.
 *
 * @throws Error of one line where `tta` is none of `TTA_VIEWS`
 */
export function forwardViews(model: Module, images: Tensor, tta: Tta): Tensor {
  checkWords("forwardViews", { tta }, TTA_VIEWS);
  if (tta === "none") return model.forward(images);
  const mirrored = (x: Tensor): Tensor =>
    scope(() =>
      model
        .forward(x)
        .add(model.forward(mirror(x)))
        .mul(0.5),
    );
  if (tta === "mirror") return mirrored(images);
  return scope(() => {
    const moved = mirrored(shift(images, -1))
      .add(mirrored(shift(images, 1)))
      .mul(0.5);
    return mirrored(images).add(moved).mul(0.5);
  });
}

function mirror(x: Tensor): Tensor {
  const width = x.shape[2];
  return gather(
    x,
    Array.from({ length: width }, (_, i) => width - 1 - i),
    2,
  );
}

/** Pixel i of the result is pixel i + by on both axes, reflected at the border without repeating it (PyTorch's "reflect"). */
function shift(x: Tensor, by: number): Tensor {
  const along = (extent: number): number[] =>
    Array.from({ length: extent }, (_, i) => {
      const at = Math.abs(i + by);
      return at < extent ? at : 2 * (extent - 1) - at;
    });
  return scope(() => gather(gather(x, along(x.shape[1]), 1), along(x.shape[2]), 2));
}
