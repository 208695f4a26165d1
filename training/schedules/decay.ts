// Schedules that shrink the rate, or let it be. Source: torch.optim.lr_scheduler, in closed form.
import {
  atLeastZero,
  check,
  positive,
  scheduleOf,
  share,
  shareAboveZero,
  wholeAtLeastZero,
  wholePositive,
} from "./checks.ts";
import type { Schedule } from "./schedule.ts";

/**
 * The same rate throughout, or, with `totalIters`, lr * factor for so many steps and lr after them: PyTorch's ConstantLR.
 * `lr` >= 0, `factor` 0..1 (PyTorch's default is 1/3), `totalIters` a whole number >= 0 (default 0; PyTorch's is 5).
 */
export function constant(options: { lr: number; factor?: number; totalIters?: number }): Schedule {
  const { lr, factor = 1 / 3, totalIters = 0 } = options;
  check("constant", { lr }, atLeastZero);
  check("constant", { factor }, share);
  check("constant", { totalIters }, wholeAtLeastZero);
  return scheduleOf("constant", (step) => (step < totalIters ? lr * factor : lr));
}

/** lr * factor(step): PyTorch's LambdaLR. `lr` >= 0. */
export function lambdaSchedule({ lr, factor }: { lr: number; factor: (step: number) => number }): Schedule {
  check("lambdaSchedule", { lr }, atLeastZero);
  return scheduleOf("lambdaSchedule", (step) => lr * factor(step));
}

/**
 * From lr * startFactor in a straight line to lr * endFactor in `totalIters` steps, and level from there: PyTorch's LinearLR with its
 * defaults (1/3, 1, 5). `startFactor` above 0 up to 1, `endFactor` 0..1, `totalIters` a whole number >= 1.
 */
export function linear(options: {
  lr: number;
  startFactor?: number;
  endFactor?: number;
  totalIters?: number;
}): Schedule {
  const { lr, startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = options;
  check("linear", { lr }, atLeastZero);
  check("linear", { startFactor }, shareAboveZero);
  check("linear", { endFactor }, share);
  check("linear", { totalIters }, wholePositive);
  return scheduleOf(
    "linear",
    (step) => lr * (startFactor + ((endFactor - startFactor) * Math.min(step, totalIters)) / totalIters),
  );
}

/**
 * lr * (1 - step / totalIters)^power down to 0, and 0 from there: PyTorch's PolynomialLR with its defaults (5 steps, power 1).
 * `totalIters` a whole number >= 1, `power` > 0.
 */
export function polynomial({ lr, totalIters = 5, power = 1 }: PolynomialOptions): Schedule {
  check("polynomial", { lr }, atLeastZero);
  check("polynomial", { totalIters }, wholePositive);
  check("polynomial", { power }, positive);
  return scheduleOf("polynomial", (step) => lr * (1 - Math.min(step, totalIters) / totalIters) ** power);
}

export type PolynomialOptions = { lr: number; totalIters?: number; power?: number };

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
