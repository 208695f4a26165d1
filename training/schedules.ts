// Learning-rate schedules as plain functions of the step number. Names, defaults and numbers (to 1e-12) are those of PyTorch's
// schedulers, in closed form: any step can be asked for, in any order, which is what an exact resume needs.
// Source: torch.optim.lr_scheduler.

/** What a schedule sets: the rate, and the momentum (beta1 for Adam) where the schedule cycles that too. */
export type Rates = { lr: number; momentum?: number };

/** `step` counts from 0: the value for the first update is `schedule(0)`. A schedule throws where `step` is no such count. */
export type Schedule = (step: number) => Rates;

/** A figure of each epoch that decisions are made by: the names of metrics.jsonl. */
export type Monitor =
  "trainLoss" | "trainAccuracy" | "testLoss" | "testAccuracy" | "validationLoss" | "validationAccuracy";

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

/** The same rate throughout. `lr` >= 0. */
export function constant({ lr }: { lr: number }): Schedule {
  check("constant", { lr }, atLeastZero);
  return scheduleOf("constant", () => lr);
}

/** lr * gamma^floor(step / stepSize): PyTorch's StepLR. `lr` >= 0, `stepSize` a whole number >= 1, `gamma` > 0. */
export function stepDecay({ lr, stepSize, gamma = 0.1 }: { lr: number; stepSize: number; gamma?: number }): Schedule {
  check("stepDecay", { lr }, atLeastZero);
  check("stepDecay", { gamma }, positive);
  check("stepDecay", { stepSize }, wholePositive);
  return scheduleOf("stepDecay", (step) => lr * gamma ** Math.floor(step / stepSize));
}

/**
 * lr * gamma^(number of milestones <= step): PyTorch's MultiStepLR. `lr` >= 0, `gamma` > 0, `milestones` whole numbers >= 0 in any
 * order; one that stands twice counts twice.
 */
export function multiStep(options: { lr: number; milestones: readonly number[]; gamma?: number }): Schedule {
  const { lr, gamma = 0.1 } = options;
  check("multiStep", { lr }, atLeastZero);
  check("multiStep", { gamma }, positive);
  const milestones = [...options.milestones];
  for (const milestone of milestones) check("multiStep", { milestones: milestone }, wholeAtLeastZero);
  return scheduleOf("multiStep", (step) => lr * gamma ** milestones.filter((milestone) => milestone <= step).length);
}

/** lr * gamma^step: PyTorch's ExponentialLR. `lr` >= 0, `gamma` > 0. */
export function exponential({ lr, gamma }: { lr: number; gamma: number }): Schedule {
  check("exponential", { lr }, atLeastZero);
  check("exponential", { gamma }, positive);
  return scheduleOf("exponential", (step) => lr * gamma ** step);
}

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

/**
 * Counts epochs instead of steps: the schedule's value for epoch floor(step / stepsPerEpoch).
 *
 * @param stepsPerEpoch batches in an epoch, the partial one included; a whole number >= 1
 */
export function perEpoch(schedule: Schedule, stepsPerEpoch: number): Schedule {
  check("perEpoch", { stepsPerEpoch }, wholePositive);
  return (step) => {
    checkStep("perEpoch", step);
    return schedule(Math.floor(step / stepsPerEpoch));
  };
}

function scheduleOf(name: string, lrAt: (step: number) => number): Schedule {
  return (step) => {
    checkStep(name, step);
    return { lr: lrAt(step) };
  };
}

function checkStep(name: string, step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new Error(`${name}: the step must be a whole number >= 0, not ${step}`);
  }
}

type Rule = { wanted: string; holds: (value: number) => boolean };
const atLeastZero: Rule = { wanted: "a number >= 0", holds: (value) => value >= 0 };
const positive: Rule = { wanted: "a number > 0", holds: (value) => value > 0 };
const share: Rule = { wanted: "between 0 and 1", holds: (value) => value >= 0 && value <= 1 };
const shareBelowOne: Rule = { wanted: "at least 0 and below 1", holds: (value) => value >= 0 && value < 1 };
const wholePositive: Rule = {
  wanted: "a whole number >= 1",
  holds: (value) => Number.isSafeInteger(value) && value >= 1,
};
const wholeAtLeastZero: Rule = {
  wanted: "whole numbers >= 0",
  holds: (value) => Number.isSafeInteger(value) && value >= 0,
};

function check(who: string, values: Record<string, number>, { wanted, holds }: Rule): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value) || !holds(value)) throw new Error(`${who}: ${name} must be ${wanted}, not ${value}`);
  }
}
