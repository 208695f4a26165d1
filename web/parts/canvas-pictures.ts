// Pictures of RGB bytes on canvases.
import { imageDataOf } from "../../training/canvas.browser.ts";
import type { Picture } from "../protocol.ts";

/** Puts a picture onto a canvas, which takes its size; styles scale it. */
export function drawPicture(canvas: HTMLCanvasElement, picture: Picture): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.className = picture.width <= 96 ? "picture" : "picture smooth";
  canvas.getContext("2d")!.putImageData(imageDataOf(picture), 0, 0);
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
