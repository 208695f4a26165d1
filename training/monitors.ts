// What is decided at the end of an epoch by its figures: the plateau schedule's reductions, and stopping early.
import type { EpochReport, Position } from "./events.ts";
import type { AnySchedule, Monitor, PlateauSchedule } from "./schedules/index.ts";

/** Ends a run whose monitored figure has stopped improving, as Keras' EarlyStopping with min_delta 0. */
export interface EarlyStopOptions {
  /** Epochs without a better figure after which the run ends; at least 1. */
  readonly patience: number;
  /** Default the validation loss where there are held-out images, else the test loss. */
  readonly monitor?: Monitor | undefined;
}

/** Where an early stop stands: a part of a run's position. */
export interface EarlyStopState {
  /** None before the first finite figure. */
  readonly best?: number;
  /** Epochs since then. */
  readonly bad: number;
}

const isPlateau = (schedule: AnySchedule | undefined): schedule is PlateauSchedule => typeof schedule === "object";

const isAccuracy = (monitor: Monitor | undefined): boolean => monitor?.endsWith("Accuracy") ?? false;

/** A figure of an epoch. Throws one line where the run has none. */
function metricOf(report: EpochReport, monitor: Monitor): number {
  const value = report[monitor];
  if (typeof value === "number") return value;
  const instead = monitor.startsWith("validation") ? "hold images out for validation" : "give test images";
  throw new Error(`fit: there is no ${monitor} to watch: ${instead}, or watch another figure`);
}

/** Watches the reports of a run. Its state is a part of the position. */
export class Monitors {
  readonly #plateau: PlateauSchedule | null;
  readonly #earlyStop: EarlyStopOptions | undefined;
  #stop: Required<EarlyStopState>;

  constructor(schedule: AnySchedule | undefined, earlyStop: EarlyStopOptions | undefined, from: Position) {
    if (earlyStop && !(Number.isInteger(earlyStop.patience) && earlyStop.patience >= 1)) {
      throw new Error(`fit: earlyStop.patience must be a whole number of at least 1, got ${earlyStop.patience}`);
    }
    this.#plateau = isPlateau(schedule) ? schedule : null;
    this.#earlyStop = earlyStop;
    const worst = isAccuracy(earlyStop?.monitor) ? -Infinity : Infinity;
    this.#stop = { best: worst, bad: 0, ...from.earlyStop };
    if (from.schedule) this.#plateau?.loadState(from.schedule);
  }

  /** Whether the run has gone long enough without improving. */
  get stopped(): boolean {
    return this.#earlyStop !== undefined && this.#stop.bad >= this.#earlyStop.patience;
  }

  observe(report: EpochReport): void {
    if (this.#plateau) this.#plateau.observe(metricOf(report, this.#plateau.monitor));
    if (!this.#earlyStop) return;
    const byDefault = report.validationLoss === undefined ? "testLoss" : "validationLoss";
    const { monitor = byDefault } = this.#earlyStop;
    const value = metricOf(report, monitor);
    const { best, bad } = this.#stop;
    // NaN is never better.
    const better = isAccuracy(monitor) ? value > best : value < best;
    this.#stop = better ? { best: value, bad: 0 } : { best, bad: bad + 1 };
  }

  /** For the position after an epoch. */
  state(): Pick<Position, "schedule" | "earlyStop"> {
    const { best, bad } = this.#stop;
    return {
      ...(this.#plateau && { schedule: this.#plateau.state() }),
      // JSON has no word for the infinite.
      ...(this.#earlyStop && { earlyStop: Number.isFinite(best) ? { best, bad } : { bad } }),
    };
  }
}
