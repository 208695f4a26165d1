// Test-time augmentation: a prediction from several views of an image.

/** none: the image. mirror: it and its mirror image. six: both, also shifted by a pixel to either corner. */
export const TTA_VIEWS = ["none", "mirror", "six"] as const;
export type Tta = (typeof TTA_VIEWS)[number];
