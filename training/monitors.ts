// What is decided at the end of an epoch by its figures: the plateau schedule's reductions, and stopping early.
import type { EpochReport, Position } from "./events.ts";
import type { AnySchedule, Monitor, PlateauSchedule } from "./schedules/index.ts";
import { MONITORS } from "./schedules/schedule.ts";
import { checkWords } from "./suggest.ts";

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

/** What is watched, and the images that figures can be of. */
export interface MonitorOptions {
  readonly schedule?: AnySchedule | undefined;
  readonly earlyStop?: EarlyStopOptions | undefined;
  readonly validation?: unknown;
  readonly heldOut?: unknown;
}

const isPlateau = (schedule: AnySchedule | undefined): schedule is PlateauSchedule => typeof schedule === "object";

const isAccuracy = (monitor: Monitor | undefined): boolean => monitor?.endsWith("Accuracy") ?? false;

/**
 * Finds before the first epoch what would fail after it.
 *
 * @throws Error of one line where something watches no figure, or one of images that there are none of
 */
export function checkMonitors(op: string, { schedule, earlyStop, validation, heldOut }: MonitorOptions): void {
  const watched = [isPlateau(schedule) ? schedule.monitor : undefined, earlyStop && monitorOf(earlyStop, heldOut)];
  for (const monitor of watched) {
    if (monitor === undefined) continue;
    checkWords(op, { monitor }, MONITORS);
    if (monitor.startsWith("test") && !validation) refuse(op, monitor, "give test images");
    if (monitor.startsWith("validation") && !heldOut) refuse(op, monitor, "hold images out for validation");
  }
}

/** A text would only fail at the first step, after all kernels are compiled. */
function checkSchedule(schedule: AnySchedule | undefined): void {
  if (schedule === undefined || typeof schedule === "function") return;
  // A text has an at(), too.
  if (isPlateau(schedule) && typeof schedule?.at === "function") return;
  const given = JSON.stringify(schedule);
  const mend = typeof schedule === "string" ? `: parseSchedule(${given})({ lr, epochs, stepsPerEpoch }) makes one` : "";
  throw new Error(`fit: schedule must be a function of the step or a plateau, got ${given}${mend}`);
}

function refuse(op: string, monitor: Monitor, instead: string): never {
  throw new Error(`${op}: there is no ${monitor} to watch: ${instead}, or watch another figure`);
}

const monitorOf = ({ monitor }: EarlyStopOptions, heldOut: unknown): Monitor =>
  monitor ?? (heldOut ? "validationLoss" : "testLoss");

/** Watches the reports of a run. Its state is a part of the position. */
export class Monitors {
  readonly #plateau: PlateauSchedule | null;
  readonly #earlyStop: { readonly patience: number; readonly monitor: Monitor } | undefined;
  #stop: Required<EarlyStopState>;

  /** @throws as `checkMonitors`, or where an option is out of its range */
  constructor(options: MonitorOptions, from: Position) {
    const { schedule, earlyStop, heldOut } = options;
    if (earlyStop && !(Number.isInteger(earlyStop.patience) && earlyStop.patience >= 1)) {
      throw new Error(`fit: earlyStop.patience must be a whole number of at least 1, got ${earlyStop.patience}`);
    }
    checkSchedule(schedule);
    checkMonitors("fit", options);
    this.#plateau = isPlateau(schedule) ? schedule : null;
    this.#earlyStop = earlyStop && { ...earlyStop, monitor: monitorOf(earlyStop, heldOut) };
    const worst = isAccuracy(this.#earlyStop?.monitor) ? -Infinity : Infinity;
    this.#stop = { best: worst, bad: 0, ...from.earlyStop };
    if (from.schedule) this.#plateau?.loadState(from.schedule);
  }

  /** Whether the run has gone long enough without improving. */
  get stopped(): boolean {
    return this.#earlyStop !== undefined && this.#stop.bad >= this.#earlyStop.patience;
  }

  observe(report: EpochReport): void {
    const plateau = this.#plateau;
    if (plateau) plateau.observe(report[plateau.monitor]!);
    if (!this.#earlyStop) return;
    const { monitor } = this.#earlyStop;
    const value = report[monitor]!;
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
