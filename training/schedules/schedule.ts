// What a schedule is.

/** What a schedule sets: the rate, and the momentum (beta1 for Adam) where the schedule cycles that too. */
export type Rates = { lr: number; momentum?: number };

/** `step` counts from 0: the value for the first update is `schedule(0)`. A schedule throws where `step` is no such count. */
export type Schedule = (step: number) => Rates;

/** The figures of each epoch that decisions can be made by: the names of metrics.jsonl. */
export const MONITORS = [
  "testLoss",
  "testAccuracy",
  "trainLoss",
  "trainAccuracy",
  "validationLoss",
  "validationAccuracy",
] as const;
export type Monitor = (typeof MONITORS)[number];

/** A schedule that is fed a figure after each epoch. */
export interface PlateauSchedule {
  readonly monitor: Monitor;
  /** The rates by now. */
  at(step: number): Rates;
  /** Feeds the figure over the full set; true where the rate was reduced. */
  observe(metric: number): boolean;
  /** What resuming needs. */
  state(): Record<string, number>;
  loadState(state: Readonly<Record<string, number>>): void;
}

export type AnySchedule = Schedule | PlateauSchedule;

/** The rates of a step, whichever kind of schedule it is. */
export const ratesAt = (schedule: AnySchedule, step: number): Rates =>
  typeof schedule === "object" ? schedule.at(step) : schedule(step);
