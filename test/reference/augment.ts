import type { Border, Fill } from "../../engine/index.ts";
import type { AugmentStep } from "../../training/augment-grammar.ts";
import type { Drawn } from "../../training/data/augment-draw.ts";

/** An image in memory, values 0..255 (not rounded), [height, width, 3]. */
export interface Picture {
  height: number;
  width: number;
  data: Float64Array;
}

export function picture(height: number, width: number, value: (y: number, x: number, c: number) => number): Picture {
  const data = new Float64Array(height * width * 3);
  for (let i = 0; i < data.length; i++) data[i] = value(Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3);
  return { height, width, data };
}

const at = (image: Picture, y: number, x: number, c: number): number => image.data[(y * image.width + x) * 3 + c];

/** Index of the pixel that stands at `x` outside of 0 .. n - 1, or null: found by walking, unlike the kernel's arithmetic. */
export function borderIndex(x: number, n: number, border: Border): number | null {
  if (x >= 0 && x < n) return x;
  if (border === "constant") return null;
  if (border === "edge" || n === 1) return x < 0 ? 0 : n - 1;
  const repeat = border === "reflect" ? 0 : 1;
  return borderIndex(x < 0 ? -x - 1 + repeat : 2 * n - 1 - repeat - x, n, border);
}

function sample(image: Picture, y: number, x: number, c: number, border: Border, fill: number): number {
  const [row, column] = [borderIndex(y, image.height, border), borderIndex(x, image.width, border)];
  return row === null || column === null ? fill : at(image, row, column, c);
}

function bilinear(image: Picture, y: number, x: number, c: number, border: Border, fill: number): number {
  const [y0, x0] = [Math.floor(y), Math.floor(x)];
  let sum = 0;
  for (const [dy, wy] of [
    [0, 1 - y + y0],
    [1, y - y0],
  ]) {
    for (const [dx, wx] of [
      [0, 1 - x + x0],
      [1, x - x0],
    ])
      sum += wy * wx * sample(image, y0 + dy, x0 + dx, c, border, fill);
  }
  return sum;
}

/** One step with what was drawn for it, on a whole image: Albumentations' order of things, one after the other. */
export function applyStep(image: Picture, step: AugmentStep, drawn: Drawn, mean255: readonly number[]): Picture {
  const { height, width } = image;
  const color = (fill: Fill, c: number): number => (fill === "mean" ? mean255[c] : fill);
  const border = "border" in step ? step.border : "constant";
  const fill = "fill" in step ? step.fill : 0;
  switch (drawn.kind) {
    case "nothing":
      return image;
    case "crop":
      return picture(drawn.size[0], drawn.size[1], (y, x, c) =>
        sample(image, y + drawn.y, x + drawn.x, c, border, color(fill, c)),
      );
    case "flip":
      return picture(height, width, (y, x, c) =>
        drawn.axis === "x" ? at(image, y, width - 1 - x, c) : at(image, height - 1 - y, x, c),
      );
    case "affine": {
      const [a, b, tx, d, e, ty] = drawn.forward;
      const det = a * e - b * d;
      return picture(height, width, (y, x, c) => {
        const sx = (e * (x - tx) - b * (y - ty)) / det;
        const sy = (a * (y - ty) - d * (x - tx)) / det;
        return bilinear(image, sy, sx, c, border, color(fill, c));
      });
    }
    case "boxes":
      return picture(height, width, (y, x, c) => {
        const covered = drawn.boxes.some(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1);
        return covered ? color(fill, c) : at(image, y, x, c);
      });
  }
}

/** Whole pixels cut out of the middle. */
export function cropCenter(image: Picture, height: number, width: number): Picture {
  const [top, left] = [Math.floor((image.height - height) / 2), Math.floor((image.width - width) / 2)];
  return picture(height, width, (y, x, c) => at(image, y + top, x + left, c));
}
