// Pictures and canvases: rows of RGB bytes on one side, RGBA on the other.
import type { DecodedImage, Fit } from "./files.ts";

/** A picture as a canvas takes it. */
export function imageDataOf({ width, height, data }: DecodedImage): ImageData {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
    image.data[to + 3] = 255;
  }
  return image;
}

/** What an image or a canvas shows, on white, brought to a size where one is asked for. Works in workers. */
export function pictureOf(image: ImageBitmap | OffscreenCanvas, fit?: Fit): DecodedImage {
  const [width, height] = fit ? [fit.size, fit.size] : [image.width, image.height];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no 2D canvas in workers");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const side = Math.min(image.width, image.height);
  const [w, h] = fit?.mode === "crop" ? [side, side] : [image.width, image.height];
  context.drawImage(image, (image.width - w) / 2, (image.height - h) / 2, w, h, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let to = 0, from = 0; to < data.length; to += 3, from += 4) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}
