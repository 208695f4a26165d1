// Ranges of options, with messages in one line.
import type { Schedule } from "./schedule.ts";

export function scheduleOf(name: string, lrAt: (step: number) => number): Schedule {
  return (step) => {
    checkStep(name, step);
    return { lr: lrAt(step) };
  };
}

export function checkStep(name: string, step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new Error(`${name}: the step must be a whole number >= 0, not ${step}`);
  }
}

export type Rule = { wanted: string; holds: (value: number) => boolean };
export const atLeastZero: Rule = { wanted: "a number >= 0", holds: (value) => value >= 0 };
export const positive: Rule = { wanted: "a number > 0", holds: (value) => value > 0 };
export const share: Rule = { wanted: "between 0 and 1", holds: (value) => value >= 0 && value <= 1 };
export const shareAboveZero: Rule = { wanted: "above 0 and at most 1", holds: (value) => value > 0 && value <= 1 };
export const shareBelowOne: Rule = { wanted: "at least 0 and below 1", holds: (value) => value >= 0 && value < 1 };
export const wholePositive: Rule = {
  wanted: "a whole number >= 1",
  holds: (value) => Number.isSafeInteger(value) && value >= 1,
};
export const wholeAtLeastZero: Rule = {
  wanted: "whole numbers >= 0",
  holds: (value) => Number.isSafeInteger(value) && value >= 0,
};

export function check(who: string, values: Record<string, number>, { wanted, holds }: Rule): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isFinite(value) || !holds(value)) throw new Error(`${who}: ${name} must be ${wanted}, not ${value}`);
  }
}
