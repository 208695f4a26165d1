// What the tests ask of a dedicated worker: another realm of the same site, as the page's worker is.
import { expose } from "comlink";
import { parseHTML } from "linkedom/worker";
import type { DecodedImage } from "../../training/files.ts";
import { files } from "../../training/files.browser.ts";
import { pictures, useDocument } from "../../training/pictures.browser.ts";
import { drawFigure } from "../../training/report/figure.ts";
import { curve } from "./curve.ts";

const api = {
  ...files,
  svgToPng: (svg: string) => pictures.svgToPng(svg),
  encodePng: (image: DecodedImage) => pictures.encodePng(image),
  /** The chart, in linkedom's document where asked. */
  drawCurve(withDocument: boolean): string {
    if (withDocument) useDocument(parseHTML("<!doctype html><html><body></body></html>").document);
    return drawFigure("curve", "A curve", curve).svg;
  },
};

export type WorkerApi = typeof api;
expose(api);
