// The one-cycle schedule of Smith and Topin, "Super-Convergence" (arXiv 1708.07120), as PyTorch computes it.
import { atLeastZero, check, checkStep, positive, share, shareBelowOne, wholePositive } from "./checks.ts";
import type { Schedule } from "./schedule.ts";

export type OneCycleOptions = {
  /** The highest rate. */
  maxLr: number;
  /** Optimizer steps in the whole training, partial batches included. */
  totalSteps: number;
  /** The share of the steps that the rate rises, 0..1. */
  pctStart?: number;
  annealStrategy?: "cos" | "linear";
  /** Move the momentum against the rate. It replaces the optimizer's own, from step 0. */
  cycleMomentum?: boolean;
  baseMomentum?: number;
  maxMomentum?: number;
  /** The first rate is maxLr / divFactor. */
  divFactor?: number;
  /** The last rate is maxLr / divFactor / finalDivFactor (of the *first* rate, unlike fastai's). */
  finalDivFactor?: number;
  /** Fall as long as it rose, then go from the first rate to the last. */
  threePhase?: boolean;
};

type Phase = { end: number; lr: readonly [number, number]; momentum: readonly [number, number] };

/**
 * Up to `maxLr` and down again: PyTorch's OneCycleLR with its defaults (pctStart 0.3, cosine, momentum 0.95 to 0.85 and back,
 * divFactor 25, finalDivFactor 1e4, two phases). The phases end between whole steps, as PyTorch's do. Steps 0 to totalSteps - 1 train;
 * step totalSteps, which PyTorch computes after the last update, extrapolates (a linear one below zero); later ones throw.
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  const { totalSteps, annealStrategy = "cos", cycleMomentum = true } = options;
  checkOneCycle(options);
  const anneal = annealStrategy === "cos" ? cosineBetween : linearBetween;
  const phases = oneCyclePhases(options);

  return (step) => {
    checkStep("oneCycle", step);
    if (step > totalSteps) {
      throw new Error(
        `oneCycle: step ${step} lies past totalSteps ${totalSteps}: make the schedule for the whole training`,
      );
    }
    const found = phases.findIndex(({ end }) => step <= end);
    const index = found < 0 ? phases.length - 1 : found;
    const { end, lr, momentum } = phases[index];
    const start = phases[index - 1]?.end ?? 0;
    // a phase of no length (pctStart * totalSteps = 1) is at its end; PyTorch divides by zero there
    const share = end === start ? 1 : (step - start) / (end - start);
    const rate = anneal(...lr, share);
    return cycleMomentum ? { lr: rate, momentum: anneal(...momentum, share) } : { lr: rate };
  };
}

function oneCyclePhases(options: OneCycleOptions): Phase[] {
  const { maxLr, totalSteps, pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4, threePhase = false } = options;
  const { baseMomentum: low = 0.85, maxMomentum: high = 0.95 } = options;
  const first = maxLr / divFactor;
  const last = first / finalDivFactor;
  const peak = pctStart * totalSteps - 1;
  const rise: Phase = { end: peak, lr: [first, maxLr], momentum: [high, low] };
  if (!threePhase) return [rise, { end: totalSteps - 1, lr: [maxLr, last], momentum: [low, high] }];
  return [
    rise,
    { end: 2 * pctStart * totalSteps - 2, lr: [maxLr, first], momentum: [low, high] },
    { end: totalSteps - 1, lr: [first, last], momentum: [high, high] },
  ];
}

function checkOneCycle(options: OneCycleOptions): void {
  const { maxLr, totalSteps, pctStart = 0.3, annealStrategy = "cos", divFactor = 25, finalDivFactor = 1e4 } = options;
  const { baseMomentum = 0.85, maxMomentum = 0.95 } = options;
  check("oneCycle", { maxLr }, atLeastZero);
  check("oneCycle", { totalSteps }, wholePositive);
  check("oneCycle", { pctStart }, share);
  check("oneCycle", { baseMomentum, maxMomentum }, shareBelowOne);
  check("oneCycle", { divFactor, finalDivFactor }, positive);
  if (!["cos", "linear"].includes(annealStrategy)) {
    throw new Error(`oneCycle: annealStrategy must be "cos" or "linear", not ${JSON.stringify(annealStrategy)}`);
  }
}

const cosineBetween = (start: number, end: number, share: number): number =>
  end + ((start - end) / 2) * (Math.cos(Math.PI * share) + 1);
const linearBetween = (start: number, end: number, share: number): number => (end - start) * share + start;
