// The schedule that waits for a figure to stop improving.
import { checkWords } from "../suggest.ts";
import { atLeastZero, check, shareBelowOne, wholeAtLeastZero } from "./checks.ts";
import { MONITORS, type Monitor, type PlateauSchedule, type Rates } from "./schedule.ts";

export type PlateauOptions = {
  /** The rate to begin with. */
  lr: number;
  /** The figure that `fit` feeds after each epoch, over the full set; default "testLoss". */
  monitor?: Monitor;
  /** Whether the figure should fall or rise; default by the monitor: losses fall, accuracies rise. */
  mode?: "min" | "max";
  /** What a reduction multiplies the rate by, 0 to below 1 (default 0.1). */
  factor?: number;
  /** Epochs without improvement that are still borne: the one after them reduces (default 10). */
  patience?: number;
  /** What counts as an improvement (default 1e-4): a share of the best figure, or a difference where `thresholdMode` is "abs". */
  threshold?: number;
  thresholdMode?: "rel" | "abs";
  /** Epochs after a reduction that are not counted (default 0). */
  cooldown?: number;
  /** Never below this (default 0). */
  minLr?: number;
  /** A reduction by no more than this is left out (default 1e-8). */
  eps?: number;
};

/**
 * Multiplies the rate by `factor` where a figure has not improved for more than `patience` epochs: PyTorch's ReduceLROnPlateau. NaN
 * is no improvement. Feed it yourself with `observe`, or give it to `fit`.
 *
 * @throws Error of one line naming the first option that is out of its range, or word that is none of those known
 */
export function reduceLROnPlateau(options: PlateauOptions): PlateauSchedule {
  const { lr, monitor = "testLoss", factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = "rel" } = options;
  checkWords("reduceLROnPlateau", { monitor }, MONITORS);
  const { mode = monitor.endsWith("Accuracy") ? "max" : "min", cooldown = 0, minLr = 0, eps = 1e-8 } = options;
  checkWords("reduceLROnPlateau", { mode }, ["min", "max"]);
  checkWords("reduceLROnPlateau", { thresholdMode }, ["rel", "abs"]);
  check("reduceLROnPlateau", { lr, threshold, minLr, eps }, atLeastZero);
  check("reduceLROnPlateau", { factor }, shareBelowOne);
  check("reduceLROnPlateau", { patience, cooldown }, wholeAtLeastZero);
  const sign = mode === "min" ? -1 : 1;
  const bar = (best: number): number =>
    thresholdMode === "rel" ? best * (1 + sign * threshold) : best + sign * threshold;
  let now = { lr, best: sign * -Infinity, bad: 0, cooling: 0 };

  return {
    monitor,
    at: (): Rates => ({ lr: now.lr }),
    observe(metric) {
      const better = mode === "min" ? metric < bar(now.best) : metric > bar(now.best);
      const cooling = Math.max(0, now.cooling - 1);
      const bad = better || now.cooling > 0 ? 0 : now.bad + 1;
      now = { lr: now.lr, best: better ? metric : now.best, bad, cooling };
      if (bad <= patience) return false;
      const lower = Math.max(now.lr * factor, minLr);
      const reduced = now.lr - lower > eps;
      now = { ...now, lr: reduced ? lower : now.lr, bad: 0, cooling: cooldown };
      return reduced;
    },
    // Before the first figure the best one is infinite, which JSON has no word for: it is left out.
    state: () => ({
      lr: now.lr,
      bad: now.bad,
      cooling: now.cooling,
      ...(Number.isFinite(now.best) && { best: now.best }),
    }),
    loadState(state) {
      const { lr: rate, bad, cooling, best = sign * -Infinity } = state;
      if (![rate, bad, cooling].every(Number.isFinite))
        throw new Error("reduceLROnPlateau: the saved state lacks one of lr, bad, cooling");
      now = { lr: rate, best, bad, cooling };
    },
  };
}
