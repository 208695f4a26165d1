// Maps between pixel centres.
import type { AffineMap, PixelMap } from "../../engine/index.ts";

/** The map that applies `inner` first, then `outer`. */
export function compose(outer: AffineMap, inner: AffineMap): AffineMap {
  const [a, b, c, d, e, f] = outer;
  const [g, h, i, j, k, l] = inner;
  return [a * g + b * j, a * h + b * k, a * i + b * l + c, d * g + e * j, d * h + e * k, d * i + e * l + f];
}

export function invert([a, b, c, d, e, f]: AffineMap): AffineMap {
  const det = a * e - b * d;
  return [e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det];
}

/** `compose` for whole-pixel maps: `inner` first, then `outer`. */
export function shiftMap(outer: PixelMap, inner: PixelMap): PixelMap {
  return {
    signX: outer.signX * inner.signX,
    signY: outer.signY * inner.signY,
    offsetX: outer.signX * inner.offsetX + outer.offsetX,
    offsetY: outer.signY * inner.offsetY + outer.offsetY,
  };
}

export interface Rotation {
  /** Degrees, counter-clockwise as seen (y points down). */
  readonly angle: number;
  readonly scale: number;
  /** Pixels. */
  readonly shiftX: number;
  readonly shiftY: number;
}

/**
 * From input to output: rotation and scaling about the centre of the pixel grid, then the shift. This is OpenCV's
 * getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, scale), as Albumentations' Rotate and ShiftScaleRotate use it.
 */
export function forwardRotation(width: number, height: number, { angle, scale, shiftX, shiftY }: Rotation): AffineMap {
  const a = scale * Math.cos((angle * Math.PI) / 180);
  const b = scale * Math.sin((angle * Math.PI) / 180);
  const x = width / 2 - 0.5;
  const y = height / 2 - 0.5;
  return [a, b, (1 - a) * x - b * y + shiftX, -b, a, b * x + (1 - a) * y + shiftY];
}
