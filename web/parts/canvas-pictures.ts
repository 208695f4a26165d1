// Pictures of RGB bytes on canvases.
import type { Picture } from "../protocol.ts";

/** Puts a picture onto a canvas, which takes its size; styles scale it. */
export function drawPicture(canvas: HTMLCanvasElement, { width, height, data }: Picture): void {
  canvas.width = width;
  canvas.height = height;
  canvas.className = width <= 96 ? "picture" : "picture smooth";
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** A picture with words for those who do not see it; without words it is decoration. */
export function pictureCanvas(picture: Picture, label?: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  drawPicture(canvas, picture);
  if (label === undefined) canvas.ariaHidden = "true";
  else {
    canvas.role = "img";
    canvas.ariaLabel = label;
  }
  return canvas;
}
