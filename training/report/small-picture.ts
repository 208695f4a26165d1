// Pictures small enough to stand in a page by the dozen.
import type { DecodedImage } from "../files.ts";

/** Side in pixels that a picture in a grid has at most. */
const MOST = 128;

/** The picture, or where it is larger than grids show it one of means of whole blocks of pixels. */
export function fitted(picture: DecodedImage): DecodedImage {
  const factor = Math.ceil(Math.max(picture.width, picture.height) / MOST);
  if (factor <= 1) return picture;
  const width = Math.ceil(picture.width / factor);
  const height = Math.ceil(picture.height / factor);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(blockMean(picture, x * factor, y * factor, factor), (y * width + x) * 3);
  }
  return { width, height, data };
}

function blockMean({ width, height, data }: DecodedImage, left: number, top: number, side: number): number[] {
  const [right, bottom] = [Math.min(left + side, width), Math.min(top + side, height)];
  const sums = [0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      for (let c = 0; c < 3; c++) sums[c] += data[(y * width + x) * 3 + c];
    }
  }
  return sums.map((sum) => Math.round(sum / ((right - left) * (bottom - top))));
}
