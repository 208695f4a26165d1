// Pictures in rows and columns, with words below them.
import { image, text } from "@observablehq/plot";
import { pictures } from "#pictures";
import type { DecodedImage } from "../../files.ts";
import { drawFigure, ink, type Figure } from "../figure.ts";

export interface GalleryItem {
  readonly picture: DecodedImage;
  /** One line, or two with a line break. */
  readonly caption: string;
  /** Colours the caption. */
  readonly tone?: "good" | "bad";
}

export interface GalleryOptions {
  readonly name: string;
  readonly title: string;
  readonly columns: number;
  /** Side of a picture in the drawing's pixels; default 64. */
  readonly size?: number;
}

const LINE = 12.5;
/** Captions are cut after so many characters for each pixel of a cell. */
const CHARACTERS_PER_PIXEL = 0.158;

/** Draws pictures of one size; small ones are enlarged without smoothing. */
export async function gallery(items: readonly GalleryItem[], options: GalleryOptions): Promise<Figure> {
  const { name, title, columns, size = 64 } = options;
  const rows = Math.max(1, Math.ceil(items.length / columns));
  const lines = Math.max(0, ...items.map(({ caption }) => (caption === "" ? 0 : caption.split("\n").length)));
  const gap = 8;
  const cell = { width: size + gap, height: size + gap + lines * LINE + (lines > 0 ? 4 : 0) };
  const cells = await Promise.all(
    items.map(async ({ picture, caption, tone }, i) => ({
      x: (i % columns) * cell.width + gap / 2 + size / 2,
      y: Math.floor(i / columns) * cell.height + gap / 2 + size / 2,
      src: dataUri(await pictures.encodePng(picture)),
      caption: cut(caption, Math.floor(cell.width * CHARACTERS_PER_PIXEL)),
      color: tone ? ink[tone] : ink.text,
    })),
  );
  const [width, height] = [columns * cell.width, rows * cell.height];
  return drawFigure(name, title, {
    width,
    height,
    margin: 0,
    // Places are pixels already.
    x: { axis: null, type: "linear", domain: [0, width], range: [0, width] },
    y: { axis: null, type: "linear", domain: [0, height], range: [0, height] },
    marks: [
      image(cells, { x: "x", y: "y", src: "src", width: size, height: size, imageRendering: "pixelated" }),
      text(cells, {
        x: "x",
        y: "y",
        dy: size / 2 + 4,
        text: "caption",
        fill: "color",
        lineAnchor: "top",
        lineHeight: 1.15,
        fontSize: 10.5,
      }),
    ],
    color: { type: "identity" },
  });
}

const cut = (caption: string, most: number): string =>
  caption
    .split("\n")
    .map((line) => (line.length > most ? `${line.slice(0, most - 1)}…` : line))
    .join("\n");

/** Bytes of a PNG for an `src`. */
function dataUri(png: Uint8Array): string {
  let binary = "";
  for (let first = 0; first < png.length; first += 0x8000) {
    binary += String.fromCharCode(...png.subarray(first, first + 0x8000));
  }
  return `data:image/png;base64,${btoa(binary)}`;
}
