// Heat over a picture.
import type { Picture } from "../protocol.ts";
import { pictureCanvas } from "./canvas-pictures.ts";
import { element } from "./dom.ts";

/** A picture with heat over it, for text beside it; `--heat` on an ancestor says how much of the heat shows, 0..1. */
export const heated = (picture: Picture, heat: Picture): HTMLElement =>
  element("span", { className: "stack" }, pictureCanvas(picture), pictureCanvas(heat));
