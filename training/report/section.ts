// A part of the report, and how figures stand in it.
import type { Figure } from "./figure.ts";
import { html, Html, type Part } from "./html.ts";

export interface Section {
  /** For links into the page. */
  readonly id: string;
  readonly title: string;
  readonly body: Html;
  /** All that are shown in the body: they are written as PNG too. */
  readonly figures: readonly Figure[];
}

/** A figure in the page with its title above. Its SVG takes the page's colours. */
export const show = (figure: Figure, note?: Part): Html =>
  html`<figure id="figure-${figure.name}">
    <figcaption>${figure.title}</figcaption>
    ${new Html(figure.svg)} ${note !== undefined && html`<p class="note">${note}</p>`}
  </figure>`;

/** Figures side by side where there is room. */
export const grid = (figures: readonly Figure[]): Html =>
  html`<div class="grid">${figures.map((one) => show(one))}</div>`;
