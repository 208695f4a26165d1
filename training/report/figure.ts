// Drawing: an Observable Plot specification becomes an SVG text that follows the page's theme, and from that a PNG.
import { plot, type PlotOptions } from "@observablehq/plot";
import { files } from "#files";
import { pictures } from "#pictures";

/** A drawing with the name of its files. */
export interface Figure {
  /** The stem of its files: "confusion-matrix". */
  readonly name: string;
  readonly title: string;
  /** A whole SVG document. Colours that a dark page must change are CSS variables with their light values beside them. */
  readonly svg: string;
}

/** Colours that eyes of every kind tell apart (Okabe and Ito 2008), lighter on dark pages: see style.ts. */
export const ink = {
  train: "var(--train, #0072b2)",
  test: "var(--test, #d55e00)",
  validation: "var(--validation, #009e73)",
  mark: "var(--mark, #cc3399)",
  good: "var(--good, #009e73)",
  bad: "var(--bad, #c62828)",
  faint: "var(--faint, #999999)",
  text: "var(--text, #222222)",
  background: "var(--page, #ffffff)",
} as const;

/** The lines of a chart that compares runs, which stands on no page. */
export const series = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933"];

/** Draws a chart of 520 by 280 unless told otherwise. */
export function drawFigure(name: string, title: string, options: PlotOptions): Figure {
  const drawn = plot({
    document: pictures.document,
    width: 520,
    height: 280,
    marginLeft: 58,
    marginBottom: 40,
    className: "kiln-figure",
    style: {
      color: ink.text,
      background: "none",
      fontFamily: "'DejaVu Sans', system-ui, sans-serif",
      fontSize: "12px",
    },
    ...options,
  });
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", title);
  return { name, title, svg: xmlOf(drawn.outerHTML) };
}

/**
 * HTML leaves < and > in attributes as they are (linkedom & too), knows &nbsp;, and needs no name space (browsers write it, linkedom does
 * not). Most control characters no XML may have.
 */
const xmlOf = (svg: string): string =>
  svg
    // eslint-disable-next-line no-control-regex
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, "")
    .replace(/^<svg (?![^>]*xmlns=)/, '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replaceAll("&nbsp;", "&#160;")
    .replace(/<[^>"]*(?:"[^"]*"[^>"]*)*>/g, (tag) =>
      tag.replace(/"[^"]*"/g, (value) =>
        value
          .replace(/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);)/gi, "&amp;")
          .replaceAll("<", "&lt;")
          .replaceAll(">", "&gt;"),
      ),
    );

/** For programs that know no CSS variables: each becomes its light value. */
export const plainColors = (svg: string): string =>
  svg.replace(/var\(--[\w-]+, (#[0-9a-f]{3,8})\)/gi, "$1").replaceAll("currentColor", "#222222");

/** Writes `<name>.png`, and with `svg` also `<name>.svg`, into a folder that exists; returns the files' names. */
export async function saveFigure(
  folder: string,
  { name, svg }: Figure,
  options: { readonly svg?: boolean } = {},
): Promise<string[]> {
  const plain = plainColors(svg);
  const names = [`${name}.png`];
  await files.writeAtomic(`${folder}/${name}.png`, await pictures.svgToPng(plain));
  if (options.svg) {
    await files.writeAtomic(`${folder}/${name}.svg`, `${plain}\n`);
    names.unshift(`${name}.svg`);
  }
  return names;
}
