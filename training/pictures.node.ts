// Drawing in Node: linkedom's document, resvg for SVG, pngjs for pixels.
import { createRequire } from "node:module";
import { Resvg } from "@resvg/resvg-js";
import { parseHTML } from "linkedom";
import { PNG } from "pngjs";
import type { Pictures } from "./pictures.ts";

const require = createRequire(import.meta.url);
// Bare machines have no fonts: every letter would be a box. What DejaVu lacks, Chinese and what follows it in Unicode, the machine may have.
const fonts = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((name) => require.resolve(`dejavu-fonts-ttf/ttf/${name}`));

const BEYOND_DEJAVU = /[\u2e80-\u{10ffff}]/u;

let page: Document | undefined;

export const pictures: Pictures = {
  get document() {
    return (page ??= parseHTML("<!doctype html><html><body></body></html>").document);
  },
  svgToPng: (svg, { scale = 2, background = "white" } = {}) => {
    const resvg = new Resvg(svg, {
      background,
      fitTo: { mode: "zoom", value: scale },
      font: {
        fontFiles: fonts,
        loadSystemFonts: BEYOND_DEJAVU.test(svg),
        defaultFontFamily: "DejaVu Sans",
        sansSerifFamily: "DejaVu Sans",
      },
      shapeRendering: 2,
      imageRendering: 1,
    });
    return Promise.resolve(resvg.render().asPng());
  },
  encodePng: ({ width, height, data }) => {
    const png = new PNG({ width, height });
    for (let pixel = 0; pixel < width * height; pixel++) {
      png.data.set(data.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
      png.data[4 * pixel + 3] = 255;
    }
    return Promise.resolve(PNG.sync.write(png, { colorType: 2 }));
  },
};
