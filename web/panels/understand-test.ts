// The test of a model that has just appeared: its words in the status line, and its figures.
import { proxy } from "comlink";
import type { App } from "../app.ts";
import { byId } from "../parts/dom.ts";
import { fixed, grouped, percent } from "../parts/format.ts";
import type { DataReport, ModelReport } from "../protocol.ts";
import type { TestReport, TestWatch, Unfit } from "../worker/test.ts";

/** A model with the images that it is tested on. */
export interface Pair {
  readonly model: ModelReport;
  readonly data: DataReport;
}

/** How long the words before stay in the status line until the test's progress takes their place; and how long each of that, in ms. */
const QUIET = 1500;
const EACH = 1000;

export class Tester {
  readonly #app: App;
  readonly #show: (pair: Pair, result: TestReport | Unfit) => void;
  readonly #status = byId("status", HTMLElement);
  readonly #watch: TestWatch;
  #pair: Pair | null = null;
  #running: Promise<void> = Promise.resolve();
  #nextWords = 0;
  /** In the status line before the test spoke, and what it said last. */
  #before: string | null = null;
  #said = "";

  constructor(app: App, show: (pair: Pair, result: TestReport | Unfit) => void) {
    this.#app = app;
    this.#show = show;
    this.#watch = proxy((done: number, count: number) => this.#sayProgress(done, count));
  }

  /** Resolves when no test is under way. */
  get settled(): Promise<void> {
    return this.#running;
  }

  /** Tests a model, after the test under way; once only where it is asked for again meanwhile. */
  test(pair: Pair): void {
    if (this.#pair === pair) return;
    this.#pair = pair;
    this.#running = this.#running.then(() => this.#test(pair));
  }

  async #test(pair: Pair): Promise<void> {
    if (this.#pair !== pair) return;
    this.#nextWords = performance.now() + QUIET;
    this.#before = null;
    const result = await this.#app.attempt<TestReport | Unfit | null>(() => this.#app.session.testModel(this.#watch));
    const current = this.#pair === pair;
    if (current) this.#pair = null;
    // Overtaken by training, another model or other images.
    if (!result || !current) return;
    this.#show(pair, result);
    this.#sayResult(result);
  }

  #sayProgress(done: number, count: number): void {
    if (performance.now() < this.#nextWords) return;
    this.#nextWords = performance.now() + EACH;
    const shown = this.#status.textContent;
    if (this.#before !== null && shown !== this.#said) return;
    this.#before ??= shown;
    this.#say(`Testing: ${grouped(done)} of ${grouped(count)} images`);
  }

  /** After what was said before, which may tell what to do next; nothing where others have spoken since. */
  #sayResult(result: TestReport | Unfit): void {
    const shown = this.#status.textContent;
    if (this.#before !== null && shown !== this.#said) return;
    const words =
      "unfit" in result
        ? `No test: ${result.unfit}.`
        : `Test accuracy ${percent(result.accuracy)}, ${grouped(result.misclassified)} of ${grouped(result.count)} misclassified.`;
    this.#say(`${this.#before ?? shown} ${words}`);
  }

  #say(text: string): void {
    this.#said = text;
    this.#app.say(text);
  }
}

/** The figures of a test; null: there is none. */
export function showFigures(report: TestReport | null): void {
  const figures = {
    accuracy: percent(report?.accuracy, 2),
    loss: fixed(report?.loss),
    top5: report && report.top5Accuracy === null ? "five classes or fewer" : percent(report?.top5Accuracy, 2),
    ece: percent(report?.ece, 2),
  };
  for (const [name, text] of Object.entries(figures)) byId(`test-${name}`, HTMLElement).textContent = text;
}

/** What was tested on what, or why nothing was. */
export function testNote(pair: Pair | null, result: TestReport | Unfit | null): string {
  if (!pair)
    return "The test, its mistakes and the heat maps come with a model: press Train, or open a checkpoint under Share.";
  const { name, origin } = pair.model;
  if (!result) return `${name}, ${origin}: being tested…`;
  if ("unfit" in result) return `${name}, ${origin}. No test: ${result.unfit}. Your own picture and the camera work.`;
  return `${name}, ${origin}, on ${grouped(result.count)} test images of ${pair.data.name}.`;
}
