// What was loaded: numbers, classes, samples.
import type { App } from "../app.ts";
import { pictureCanvas } from "../parts/canvas-pictures.ts";
import { byId, element } from "../parts/dom.ts";
import { grouped } from "../parts/format.ts";
import type { Signal } from "../parts/signal.ts";
import type { DataReport } from "../protocol.ts";
import type { Sample } from "../worker/data.ts";
import type { ChosenSample } from "./data.ts";

/** Images of each class that are shown, and of all together. */
const ROUNDS = 3;
const MOST = 120;

export function looksPanel(app: App, chosen: Signal<ChosenSample | null>): void {
  const panel = byId("data-looks", HTMLElement);
  const list = byId("samples", HTMLElement);
  let seed = 0;
  let asked = 0;

  app.data.watch((report) => {
    panel.ariaBusy = String(report === null);
    // The images before stay in sight until there are others.
    if (!report) return;
    panel.hidden = false;
    chosen.set(null);
    describe(report);
    seed = 0;
    void show(report);
  });

  async function show(report: DataReport): Promise<void> {
    const question = (asked += 1);
    const { classes } = report;
    const rounds = Math.max(1, Math.min(ROUNDS, Math.floor(MOST / classes.length)));
    const count = Math.min(MOST, rounds * classes.length);
    // Fails only where newer images are on their way; app.attempt would clear away what went wrong with them.
    const samples = await app.session.samples(count, seed).catch(() => null);
    if (!samples || question !== asked) return;
    // One column a class, as long as they are wide enough.
    const columns = classes.length <= 12 ? classes.length : 0;
    list.classList.toggle("by-class", columns > 0);
    list.style.setProperty("--columns", String(columns || 1));
    list.replaceChildren(...samples.map((sample) => option(sample, classes[sample.label])));
    choose(0);
  }

  function choose(at: number, focus = false): void {
    const options = [...list.children] as HTMLElement[];
    const next = options[at] as HTMLElement | undefined;
    if (!next) return;
    for (const each of options) {
      each.ariaSelected = String(each === next);
      each.tabIndex = each === next ? 0 : -1;
    }
    if (focus) next.focus();
    chosen.set({ index: Number(next.dataset.index), name: next.dataset.name! });
  }

  list.addEventListener("click", (event) => {
    const clicked = (event.target as Element).closest("[role=option]");
    if (clicked) choose([...list.children].indexOf(clicked), true);
  });
  list.addEventListener("keydown", (event) => {
    const at = [...list.children].indexOf(event.target as Element);
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const last = list.children.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + columns,
      ArrowUp: at - columns,
      Home: 0,
      End: last,
    };
    if (at < 0 || !Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    const to = moves[event.key];
    if (to >= 0 && to <= last) choose(to, true);
  });
  byId("shuffle-samples", HTMLButtonElement).addEventListener("click", () => {
    seed += 1;
    if (app.data.value) void show(app.data.value);
  });
}

function option({ index, label, picture }: Sample, name: string): HTMLElement {
  const made = element(
    "div",
    { role: "option", ariaLabel: `${name}, image ${index}`, title: `${name}, image ${index}` },
    pictureCanvas(picture),
    element("span", {}, name),
  );
  made.dataset.index = String(index);
  made.dataset.name = name;
  made.dataset.label = String(label);
  return made;
}

function describe({ name, classes, imageSize, train, test, counts, warnings }: DataReport): void {
  byId("data-name", HTMLElement).textContent = name;
  byId("data-summary", HTMLElement).textContent =
    `${grouped(train)} images for training and ${grouped(test)} for testing, ${imageSize} x ${imageSize} pixels, ` +
    `${classes.length} classes.`;
  const list = byId("data-warnings", HTMLUListElement);
  list.hidden = warnings.length === 0;
  list.replaceChildren(...warnings.map((warning) => element("li", {}, warning)));
  const most = Math.max(...counts, 1);
  byId("class-counts", HTMLUListElement).replaceChildren(
    ...classes.map((label, i) => {
      const bar = element("span", { className: "bar", ariaHidden: "true" }, element("span"));
      bar.style.setProperty("--share", String(counts[i] / most));
      return element(
        "li",
        {},
        element("span", { className: "name", title: label }, label),
        bar,
        element("span", { className: "count" }, grouped(counts[i])),
      );
    }),
  );
}
