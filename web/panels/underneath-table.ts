// The table of dispatches: sorted by any column, filtered by name, grouped by kernel.
import { byId, element } from "../parts/dom.ts";
import { grouped } from "../parts/format.ts";
import type { DispatchRow, StepListing } from "../worker/kernels.ts";
import { byFile, rate, rowsOf, time, type Row } from "./underneath-rows.ts";

interface Column {
  readonly name: string;
  /** What it is sorted by. */
  readonly key: (row: Row) => number | string;
  readonly show: (row: Row) => string | Node;
}

/** Rows are added so many at a time, so that the page stays free. */
const SLICE = 100;

export class KernelTable {
  readonly #choose: (dispatch: DispatchRow, listing: StepListing) => void;
  readonly #head = byId("kernel-table", HTMLTableElement).tHead!;
  readonly #body = byId("kernel-table", HTMLTableElement).tBodies[0];
  readonly #filter = byId("kernel-filter", HTMLInputElement);
  readonly #group = byId("kernel-group", HTMLInputElement);
  #listing: StepListing | null = null;
  #rows: readonly Row[] = [];
  #total = 0;
  /** The longest time shown, as a share: its bar is a whole one. */
  #longest = 1;
  #column = 0;
  #descending = false;
  #chosen: DispatchRow | null = null;
  /** Counts drawings: one that is overtaken stops. */
  #drawing = 0;

  constructor(choose: (dispatch: DispatchRow, listing: StepListing) => void) {
    this.#choose = choose;
    this.#filter.addEventListener("input", () => this.#draw());
    this.#group.addEventListener("change", () => {
      [this.#column, this.#descending] = this.#group.checked ? [TIME, true] : [0, false];
      this.#drawHead();
      this.#draw();
    });
    this.#body.addEventListener("click", ({ target }) => {
      const row = target instanceof Element ? target.closest("tr") : null;
      row?.querySelector("button")?.focus();
      const dispatch = row && this.#listing?.dispatches[Number(row.dataset.dispatch)];
      if (dispatch) this.#mark(dispatch);
    });
  }

  /** Shows another step, and chooses the dispatch that takes longest. */
  show(listing: StepListing): void {
    this.#listing = listing;
    this.#rows = rowsOf(listing);
    this.#total = this.#rows.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    this.#drawHead();
    this.#draw();
    this.#mark(this.#rows.reduce((a, b) => (b.milliseconds > a.milliseconds ? b : a)).dispatch);
  }

  get #columns(): readonly Column[] {
    const share = ({ milliseconds }: Row): number => milliseconds / this.#total || 0;
    return [
      this.#group.checked
        ? { name: "Dispatches", key: ({ calls }) => calls, show: ({ calls }) => grouped(calls) }
        : { name: "No.", key: ({ number }) => number, show: ({ number }) => String(number) },
      { name: "Kernel", key: ({ file }) => file, show: ({ file }) => element("button", { type: "button" }, file) },
      { name: "Workgroups", key: ({ workgroups }) => workgroups, show: ({ grid }) => grid },
      { name: "ms", key: ({ milliseconds }) => milliseconds, show: ({ milliseconds }) => time(milliseconds) },
      { name: "Share", key: share, show: (row) => bar(share(row), this.#longest) },
      { name: "GFLOP/s", key: (row) => speed(row.flops, row), show: (row) => rate(row.flops, row.milliseconds) },
      { name: "GB/s", key: (row) => speed(row.bytes, row), show: (row) => rate(row.bytes, row.milliseconds) },
    ];
  }

  #drawHead(): void {
    const cells = this.#columns.map(({ name }, i) => {
      const button = element("button", { type: "button" }, name);
      button.addEventListener("click", () => this.#sort(i));
      const cell = element("th", { scope: "col", className: i === NAME ? "words" : "" }, button);
      if (i === this.#column) cell.setAttribute("aria-sort", this.#descending ? "descending" : "ascending");
      return cell;
    });
    this.#head.replaceChildren(element("tr", {}, ...cells));
  }

  /** By this column; a second time the other way round. Numbers begin with the largest. */
  #sort(column: number): void {
    this.#descending =
      column === this.#column ? !this.#descending : column !== NAME && this.#columns[column].name !== "No.";
    this.#column = column;
    this.#drawHead();
    this.#head.querySelectorAll("button")[column].focus();
    this.#draw();
  }

  #draw(): void {
    const wanted = this.#filter.value.trim().toLowerCase();
    const rows = this.#rows.filter(({ file }) => file.toLowerCase().includes(wanted));
    const shown = this.#group.checked ? byFile(rows) : [...rows];
    this.#longest = Math.max(...shown.map(({ milliseconds }) => milliseconds / this.#total));
    const { key } = this.#columns[this.#column];
    const sign = this.#descending ? -1 : 1;
    shown.sort((a, b) => sign * compare(key(a), key(b)));
    const what = this.#group.checked ? "kernels" : "dispatches";
    byId("kernels-caption", HTMLElement).textContent =
      wanted === "" ? `All ${shown.length} ${what}` : `${shown.length} ${what} named "${wanted}"`;
    this.#body.replaceChildren();
    this.#append(shown, ++this.#drawing);
  }

  #append(rows: readonly Row[], drawing: number): void {
    if (drawing !== this.#drawing) return;
    this.#body.append(...rows.slice(0, SLICE).map((row) => this.#line(row)));
    if (rows.length > SLICE) requestAnimationFrame(() => this.#append(rows.slice(SLICE), drawing));
  }

  #line(row: Row): HTMLTableRowElement {
    const cells = this.#columns.map(({ show }, i) =>
      i === NAME ? element("th", { scope: "row", className: "words" }, show(row)) : element("td", {}, show(row)),
    );
    const line = element("tr", {}, ...cells);
    line.dataset.dispatch = String(this.#listing!.dispatches.indexOf(row.dispatch));
    setChosen(line, row.dispatch === this.#chosen);
    return line;
  }

  #mark(dispatch: DispatchRow): void {
    this.#chosen = dispatch;
    const index = String(this.#listing!.dispatches.indexOf(dispatch));
    for (const line of this.#body.rows) setChosen(line, line.dataset.dispatch === index);
    this.#choose(dispatch, this.#listing!);
  }
}

/** Places of columns. */
const NAME = 1;
const TIME = 3;

function setChosen(line: HTMLTableRowElement, chosen: boolean): void {
  line.classList.toggle("chosen", chosen);
  line.querySelector("button")!.setAttribute("aria-pressed", String(chosen));
}

/** A dispatch without a time is shown without a rate. */
const speed = (amount: number, { milliseconds }: Row): number => (milliseconds > 0 ? amount / milliseconds : 0);

const compare = (a: number | string, b: number | string): number =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

function bar(share: number, longest: number): HTMLElement {
  const made = element("span", { className: "share" }, `${(100 * share).toFixed(1)} %`);
  made.style.setProperty("--share", `${100 * (share / longest || 0)}%`);
  return made;
}
