// Mistakes, and what the model looks at.
import type { App } from "../app.ts";
import { byId } from "../parts/dom.ts";
import type { DataReport, ModelReport } from "../protocol.ts";
import type { TestReport, Unfit } from "../worker/test.ts";
import { LiveCamera } from "./understand-camera.ts";
import { ConfusionTable } from "./understand-confusion.ts";
import { Gallery } from "./understand-gallery.ts";
import { HeatView } from "./understand-heat.ts";
import { ownPicture } from "./understand-own.ts";
import { showFigures, Tester, testNote, type Pair } from "./understand-test.ts";

export function understandPanel(app: App): void {
  const explain = byId("explain", HTMLButtonElement);
  const view = new HeatView(app);
  const camera = new LiveCamera(app, view);
  const own = ownPicture(app, view);
  const gallery = new Gallery(
    app,
    (index) => explainTest(index, false),
    () => confusion.mark(null),
  );
  const confusion = new ConfusionTable((cell) => {
    confusion.mark(cell);
    gallery.showCell(cell);
  });
  const tester = new Tester(app, (tested, result) => {
    if (tested !== pair) return;
    showResult(result);
    update();
  });
  let model: ModelReport | null = null;
  let data: DataReport | null = null;
  let pair: Pair | null = null;
  let result: TestReport | Unfit | null = null;

  function explainTest(index: number, focus: boolean): void {
    gallery.mark(index);
    const truth = result && "labels" in result ? result.labels[index] : null;
    view.explain({ source: { index }, title: `Test image ${index}`, truth }, { focus });
  }

  /** What is chosen; else the most confident mistake; else the first test image. */
  async function explainChosen(): Promise<void> {
    if (view.subject) {
      view.explain(view.subject, { focus: true });
      return;
    }
    const current = pair;
    if (!result) app.say("Testing first: the surest mistake is looked at then…");
    await tester.settled;
    if (pair === current && !explain.disabled) explainTest(gallery.mistakes[0] ?? 0, true);
  }

  function showResult(found: TestReport | Unfit | null): void {
    result = found;
    const report = found && "labels" in found ? found : null;
    const names = model?.classes ?? [];
    gallery.set(report, names);
    confusion.clear();
    if (report) void confusion.show(report, names);
    showFigures(report);
    byId("test-note", HTMLElement).textContent = testNote(pair, found);
  }

  function update(): void {
    const free = app.phase.value === "idle" || app.phase.value === "paused";
    if (model !== app.model.value || data !== app.data.value) {
      [model, data] = [app.model.value, app.data.value];
      pair = model && data && { model, data };
      view.model = model;
      showResult(null);
    }
    explain.disabled = !free || pair === null;
    view.enabled = camera.enabled = own.enabled = free && model !== null;
    confusion.enabled = gallery.enabled = free && result !== null;
    if (free && pair && !result) tester.test(pair);
  }

  explain.addEventListener("click", () => void explainChosen());
  showResult(null);
  app.phase.watch(update);
  app.model.watch(update);
  app.data.watch(update);
}
