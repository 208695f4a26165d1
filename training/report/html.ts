// Writing HTML: everything that is put into a template is escaped, unless it is HTML already.

/** Text that is HTML. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Html | string | number | false | null | undefined | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Safe between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

/** html`<p>${text}</p>`: strings and numbers are escaped, lists joined, false, null and undefined left out. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((text, i) => text + (i < parts.length ? render(parts[i]) : "")).join(""));
}

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (part === false || part === null || part === undefined) return "";
  if (typeof part === "object") return part.map(render).join("");
  return escapeHtml(String(part));
}

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => Part;
  /** Words stand left, numbers (the default) right. */
  readonly words?: boolean;
}

/** A table that scrolls by itself where the page is too narrow for it. The first column names the row. */
export function table<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  const side = ({ words }: Column<Row>): string => (words ? "words" : "number");
  const cells = (row: Row): Html[] =>
    columns.map((column, i) =>
      i === 0
        ? html`<th scope="row" class="${side(column)}">${column.cell(row)}</th>`
        : html`<td class="${side(column)}">${column.cell(row)}</td>`,
    );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" class="${side(column)}">${column.head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${cells(row)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Names and values. */
export const facts = (entries: readonly (readonly [name: string, value: Part])[]): Html =>
  html`<dl>
    ${entries.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl>`;

/** What only some readers want to see. On paper it is open. */
export const details = (summary: string, body: Part): Html =>
  html`<details>
    <summary>${summary}</summary>
    ${body}
  </details>`;
