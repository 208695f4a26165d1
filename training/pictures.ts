/**
 * The second seam to the world, beside files.ts: drawing. `import { pictures } from "#pictures"` is pictures.node.ts or
 * pictures.browser.ts, by package.json's `imports`.
 */
import type { DecodedImage } from "./files.ts";

export interface PngOptions {
  /** Pixels of the PNG for each of the drawing's; default 2. */
  readonly scale?: number;
  /** A colour; default white. */
  readonly background?: string;
}

export interface Pictures {
  /** Where charts are drawn: a browser's document, or one that only knows its elements. */
  readonly document: Document;
  /** A PNG of an SVG text. Its font is DejaVu Sans, whatever the system has. */
  svgToPng(svg: string, options?: PngOptions): Promise<Uint8Array>;
  encodePng(image: DecodedImage): Promise<Uint8Array>;
}
