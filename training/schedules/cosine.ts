// Cosine schedules.
import { atLeastZero, check, scheduleOf, wholePositive } from "./checks.ts";
import type { Schedule } from "./schedule.ts";

/**
 * Half a cosine from `lr` down to `etaMin` in `tMax` steps: PyTorch's CosineAnnealingLR. Past `tMax` it rises again, as
 * PyTorch's does. `lr`, `etaMin` >= 0, `tMax` a whole number >= 1.
 */
export function cosineAnnealing({ lr, tMax, etaMin = 0 }: { lr: number; tMax: number; etaMin?: number }): Schedule {
  check("cosineAnnealing", { lr, etaMin }, atLeastZero);
  check("cosineAnnealing", { tMax }, wholePositive);
  return scheduleOf(
    "cosineAnnealing",
    (step) => etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * step) / tMax))) / 2,
  );
}

export type WarmRestartsOptions = {
  lr: number;
  /** Steps of the first cycle; a whole number >= 1. */
  t0: number;
  /** Each cycle is so many times as long as the one before; a whole number >= 1 (default 1). */
  tMult?: number;
  etaMin?: number;
};

/**
 * Half a cosine from `lr` down to `etaMin`, again and again: PyTorch's CosineAnnealingWarmRestarts (SGDR, arXiv 1608.03983). A step may
 * be a fraction here, as PyTorch's `step(epoch + i / iterations)` allows.
 */
export function cosineAnnealingWarmRestarts({ lr, t0, tMult = 1, etaMin = 0 }: WarmRestartsOptions): Schedule {
  check("cosineAnnealingWarmRestarts", { lr, etaMin }, atLeastZero);
  check("cosineAnnealingWarmRestarts", { t0, tMult }, wholePositive);
  return (step) => {
    if (!(step >= 0 && Number.isFinite(step))) {
      throw new Error(`cosineAnnealingWarmRestarts: the step must be a number >= 0, not ${step}`);
    }
    let [start, length] = [0, t0];
    if (tMult === 1) start = Math.floor(step / t0) * t0;
    while (step >= start + length) [start, length] = [start + length, length * tMult];
    return { lr: etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * (step - start)) / length))) / 2 };
  };
}
