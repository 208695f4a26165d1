// Schedules made of others.
import { atLeastZero, check, checkStep, wholePositive } from "./checks.ts";
import type { Schedule } from "./schedule.ts";

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

/**
 * One schedule after another: PyTorch's SequentialLR. Schedule i counts its steps from milestone i - 1.
 *
 * @param options.milestones the steps at which the next one takes over: rising whole numbers, one fewer than the schedules
 */
export function sequential(options: { schedules: readonly Schedule[]; milestones: readonly number[] }): Schedule {
  const { schedules, milestones } = options;
  if (schedules.length !== milestones.length + 1) {
    throw new Error(
      `sequential: ${schedules.length} schedules need ${schedules.length - 1} milestones, not ${milestones.length}`,
    );
  }
  milestones.forEach((milestone, i) => {
    check("sequential", { milestones: milestone }, wholePositive);
    if (i > 0 && milestone <= milestones[i - 1])
      throw new Error(`sequential: milestones must rise, not ${milestones.join(", ")}`);
  });
  return (step) => {
    checkStep("sequential", step);
    const index = milestones.filter((milestone) => milestone <= step).length;
    return schedules[index](index === 0 ? step : step - milestones[index - 1]);
  };
}

export type PiecewiseOptions = {
  lr: number;
  /** Steps in order, whole or not; the first is 0. */
  steps: readonly number[];
  /** What `lr` is multiplied by at each of them; >= 0. */
  factors: readonly number[];
};

/** Straight lines between points, and level after the last: `lr * numpy.interp(step, steps, factors)`. */
export function piecewiseLinear({ lr, steps, factors }: PiecewiseOptions): Schedule {
  check("piecewiseLinear", { lr }, atLeastZero);
  for (const factor of factors) check("piecewiseLinear", { factors: factor }, atLeastZero);
  const rise = steps.every((step, i) => (i === 0 ? step === 0 : step >= steps[i - 1]));
  if (steps.length < 2 || steps.length !== factors.length || !rise) {
    throw new Error("piecewiseLinear: steps must rise from 0, two or more of them, with as many factors");
  }
  return (step) => {
    checkStep("piecewiseLinear", step);
    const after = steps.findIndex((end) => step < end);
    if (after < 0) return { lr: lr * factors[factors.length - 1] };
    const [from, to] = [steps[after - 1], steps[after]];
    const [low, high] = [factors[after - 1], factors[after]];
    return { lr: lr * (low + ((high - low) * (step - from)) / (to - from)) };
  };
}
