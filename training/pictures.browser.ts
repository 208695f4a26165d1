// Drawing in a browser: its own document and canvas.
import { imageDataOf } from "./canvas.browser.ts";
import type { Pictures } from "./pictures.ts";

let given: Document | undefined;

/** Where charts are drawn from now on. A worker has no document of its own: give it one (linkedom's will do) before anything is drawn. */
export function useDocument(document: Document): void {
  given = document;
}

export const pictures: Pictures = {
  get document() {
    const found = given ?? (globalThis as { document?: Document }).document;
    if (!found) throw new Error("pictures: a worker has no document to draw charts in; call useDocument() first");
    return found;
  },
  svgToPng: async (svg, { scale = 2, background = "white" } = {}) => {
    if (!("Image" in globalThis)) throw new Error("svgToPng: a worker cannot draw SVG; call it in the page");
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    await image.decode();
    return draw(image.naturalWidth * scale, image.naturalHeight * scale, (context, width, height) => {
      context.fillStyle = background;
      context.fillRect(0, 0, width, height);
      context.drawImage(image, 0, 0, width, height);
    });
  },
  encodePng: (picture) =>
    draw(picture.width, picture.height, (context) => context.putImageData(imageDataOf(picture), 0, 0)),
};

async function draw(
  width: number,
  height: number,
  paint: (context: OffscreenCanvasRenderingContext2D, width: number, height: number) => void,
): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("pictures: this browser has no canvas");
  paint(context, width, height);
  return new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
}
