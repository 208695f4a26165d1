// A run on the page: meters, curves and the table of epochs.
import type { EpochReport, StepEvent } from "../../training/index.ts";
import type { KeptRun, RunEvent } from "../protocol.ts";
import { byId, element, showChart } from "../parts/dom.ts";
import { bytes, duration, fixed, grouped, percent, short } from "../parts/format.ts";
import { liveAccuracy, liveLoss } from "../parts/live-charts.ts";

/** Milliseconds between two drawings of the curves: drawing takes the main thread some 20. */
const DRAW_EVERY = 1000;

export class RunView {
  readonly #rows = byId("epochs", HTMLTableElement).tBodies[0];
  readonly #progress = byId("progress", HTMLProgressElement);
  #reports: EpochReport[] = [];
  #losses: StepEvent[] = [];
  #shape = { epochs: 1, steps: 1, stepsPerEpoch: 1 };
  #drawing = 0;

  /** Forgets the run before. */
  #clear(): void {
    this.#reports = [];
    this.#losses = [];
    this.#rows.replaceChildren();
    for (const meter of ["step", "speed", "left", "memory"]) this.#meter(meter, "–");
  }

  /** Shows a run that an earlier visit has left. */
  restore({ settings, steps, step, reports, losses }: KeptRun): void {
    this.#clear();
    const epochs = Math.ceil(settings.epochs);
    const stepsPerEpoch = Math.max(1, Math.round(steps / settings.epochs));
    this.#shape = { epochs, steps, stepsPerEpoch };
    this.#losses = [...losses];
    for (const report of reports) this.#addRow(report);
    this.#meter("step", `${grouped(step)} of ${grouped(steps)}`);
    this.#draw();
  }

  show(event: RunEvent): void {
    switch (event.type) {
      case "start":
        if (event.position.step === 0) this.#clear();
        this.#shape = event;
        this.#meter("step", `${grouped(event.position.step)} of ${grouped(event.steps)}`);
        this.#showProgress(event.position.step);
        this.#draw();
        break;
      case "steps":
        this.#losses.push(...event.steps);
        this.#drawSoon();
        break;
      case "progress":
        this.#meter("step", `${grouped(event.step)} of ${grouped(event.steps)}`);
        this.#meter("speed", `${grouped(Math.round(event.imagesPerSecond))} images/s`);
        this.#meter("left", duration(event.secondsLeft));
        this.#showProgress(event.step);
        break;
      case "memory":
        this.#meter("memory", bytes(event.bytes));
        break;
      case "epoch":
        this.#addRow(event.report);
        this.#meter("step", `${grouped(event.position.step)} of ${grouped(this.#shape.steps)}`);
        this.#showProgress(event.position.step);
        this.#drawSoon();
        break;
      case "end":
        this.#meter("left", "–");
        this.#progress.hidden = true;
        this.#draw();
        break;
      case "evaluating":
      case "save":
        break;
    }
  }

  /** For work with a share done that is no run. */
  progress(share: number | null): void {
    this.#progress.hidden = share === null;
    this.#progress.value = share ?? 0;
  }

  #showProgress(step: number): void {
    this.progress(step / this.#shape.steps);
  }

  #meter(name: string, text: string): void {
    byId(`meter-${name}`, HTMLElement).textContent = text;
  }

  #addRow(report: EpochReport): void {
    this.#reports.push(report);
    const { epoch, lr, trainLoss, trainAccuracy, testLoss, testAccuracy, seconds, imagesPerSecond } = report;
    const cells = [
      short(lr),
      fixed(trainLoss),
      percent(trainAccuracy),
      fixed(testLoss),
      percent(testAccuracy),
      seconds.toFixed(1),
      grouped(Math.round(imagesPerSecond)),
    ];
    const head = element("th", { scope: "row" }, String(epoch));
    this.#rows.append(element("tr", {}, head, ...cells.map((text) => element("td", {}, text))));
  }

  #drawSoon(): void {
    this.#drawing ||= window.setTimeout(() => this.#draw(), DRAW_EVERY);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = 0;
    showChart(byId("loss-chart", HTMLElement), liveLoss(this.#losses, this.#reports, this.#shape));
    showChart(byId("accuracy-chart", HTMLElement), liveAccuracy(this.#reports, this.#shape));
  }
}
