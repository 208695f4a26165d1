// What is taken for what: a table of buttons, one tab stop, arrow keys between its cells.
import { byId, element } from "../parts/dom.ts";
import { grouped, percent } from "../parts/format.ts";
import type { TestReport } from "../worker/test.ts";

export interface Cell {
  readonly truth: number;
  readonly prediction: number;
}

/** With more classes only cells that hold images are buttons, and zeros are left out. */
const MOST_FULL = 20;
/** Rows are made so many cells at a time, so that the page stays free. */
const CELLS_AT_ONCE = 800;

export class ConfusionTable {
  readonly #table = byId("confusion", HTMLTableElement);
  readonly #choose: (cell: Cell) => void;
  #enabled = false;
  /** Counts up with every table, so that an overtaken one is not finished. */
  #version = 0;

  constructor(choose: (cell: Cell) => void) {
    this.#choose = choose;
    this.#table.addEventListener("click", ({ target }) => {
      const button = (target as Element).closest("button");
      if (button) this.#press(button);
    });
    this.#table.addEventListener("keydown", (event) => this.#move(event));
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    for (const button of this.#table.querySelectorAll("button")) button.disabled = !enabled;
  }

  clear(): void {
    this.#version++;
    this.#table.tHead!.replaceChildren();
    this.#table.tBodies[0].replaceChildren();
  }

  async show({ confusion }: TestReport, names: readonly string[]): Promise<void> {
    this.clear();
    const version = this.#version;
    const columns = confusion[0].map((_, label) => names[label] ?? `output ${label}`);
    this.#table.tHead!.append(headRow(columns));
    const body = this.#table.tBodies[0];
    const rowsAtOnce = Math.max(1, Math.floor(CELLS_AT_ONCE / columns.length));
    for (const [truth, row] of confusion.entries()) {
      if (truth > 0 && truth % rowsAtOnce === 0) {
        await new Promise((done) => setTimeout(done));
        if (version !== this.#version) return;
      }
      body.append(this.#row(row, truth, columns));
    }
    const first = body.querySelector("button");
    if (first) first.tabIndex = 0;
  }

  /** Marks the chosen cell; null: none. */
  mark(cell: Cell | null): void {
    this.#table.querySelector("[aria-pressed=true]")?.setAttribute("aria-pressed", "false");
    if (cell) this.#button(cell.truth, cell.prediction)?.setAttribute("aria-pressed", "true");
  }

  #row(counts: readonly number[], truth: number, columns: readonly string[]): HTMLTableRowElement {
    const all = counts.reduce((sum, count) => sum + count, 0);
    const cells = counts.map((count, prediction) => {
      const cell = element("td");
      if (count === 0 && columns.length > MOST_FULL) return cell;
      const share = all === 0 ? 0 : count / all;
      const right = truth === prediction;
      const what = right ? `${columns[truth]} recognised` : `${columns[truth]} taken for ${columns[prediction]}`;
      const button = element("button", { type: "button", tabIndex: -1, disabled: !this.#enabled }, grouped(count));
      button.setAttribute("aria-label", `${grouped(count)}: ${what}, ${percent(share, 0)}`);
      button.setAttribute("aria-pressed", "false");
      button.title = `${what}: ${grouped(count)} of ${grouped(all)}`;
      Object.assign(button.dataset, { truth, prediction });
      button.className = `${right ? "right" : "wrong"}${count === 0 ? " none" : ""}`;
      button.style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
      cell.append(button);
      return cell;
    });
    const name = columns[truth];
    return element("tr", {}, element("th", { scope: "row", title: name }, name), ...cells);
  }

  #press(button: HTMLButtonElement): void {
    this.#stopAt(button);
    this.#choose({ truth: Number(button.dataset.truth), prediction: Number(button.dataset.prediction) });
  }

  /** To the next cell in an arrow's direction that is a button; Home and End to the row's ends. */
  #move(event: KeyboardEvent): void {
    const from = (event.target as Element).closest("button");
    const step = STEPS[event.key];
    if (!from || !step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const size = this.#table.tHead!.rows[0]?.cells.length ?? 0;
    let [y, x] = [Number(from.dataset.truth), Number(from.dataset.prediction)];
    if (step === "first") x = -1;
    if (step === "last") x = size;
    const [down, right] = step === "first" ? [0, 1] : step === "last" ? [0, -1] : step;
    for (let tries = 0; tries < size; tries++) {
      [y, x] = [y + down, x + right];
      const found = this.#button(y, x);
      if (!found) continue;
      this.#stopAt(found);
      found.focus();
      return;
    }
  }

  #stopAt(button: HTMLButtonElement): void {
    for (const other of this.#table.querySelectorAll<HTMLButtonElement>("button[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
  }

  #button(truth: number, prediction: number): HTMLButtonElement | null {
    // The first cell of a row is its header.
    return this.#table.tBodies[0].rows[truth]?.cells[prediction + 1]?.querySelector("button") ?? null;
  }
}

const STEPS: Partial<Record<string, readonly [down: number, right: number] | "first" | "last">> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: "first",
  End: "last",
};

function headRow(names: readonly string[]): HTMLTableRowElement {
  const corner = element("td", { className: "corner" }, "is\u00a0↓ / taken\u00a0for\u00a0→");
  const heads = names.map((name) =>
    element("th", { scope: "col", title: name }, element("span", { className: "upright" }, name)),
  );
  return element("tr", {}, corner, ...heads);
}
