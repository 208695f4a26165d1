// The schedules of `--schedule`: their parameters, by PyTorch's names, and how they are made.
import {
  constant,
  cosineAnnealing,
  cosineAnnealingWarmRestarts,
  cyclic,
  exponential,
  linear,
  multiStep,
  oneCycle,
  piecewiseLinear,
  polynomial,
  reduceLROnPlateau,
  stepDecay,
} from "./schedules/index.ts";
import type { AnySchedule, CyclicOptions, PlateauOptions, Schedule } from "./schedules/index.ts";
import { MONITORS, type Monitor } from "./schedules/schedule.ts";
import { stepsOf } from "./step-count.ts";

/** What the rest of the command line says. */
export type ScheduleContext = {
  /** The base rate (`--lr`). */
  lr: number;
  /** Of the whole training; may end within an epoch. */
  epochs: number;
  /** Steps in an epoch, the partial one included. */
  stepsPerEpoch: number;
  /** The optimizer's momentum (beta1 for Adam), given back at each step by schedules that don't cycle it. */
  momentum?: number | undefined;
  /** Whether images are held out for validation: what a plateau watches unless told otherwise. */
  heldOut?: boolean | undefined;
};

export type Value = number | boolean | string | readonly number[];
export type Values = Readonly<Record<string, Value>>;
export type ValueRule = { wanted: string; read: (text: string) => Value | undefined };

export type Kind = {
  unit: "step" | "epoch";
  keys: Readonly<Record<string, ValueRule>>;
  required: readonly string[];
  example: string;
  /** What is wrong with values that are right one by one, in words. */
  clash?: (values: Values) => string | undefined;
  /** `length`: what the schedule has of the training, in its own unit. */
  make: (values: Values, lr: number, length: number, context: ScheduleContext) => AnySchedule;
  /** How long it lasts by itself, in its own unit, where another may follow. */
  lasts?: (values: Values) => number | undefined;
};

const number = (wanted: string, holds: (value: number) => boolean): ValueRule => ({
  wanted,
  read: (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    return Number.isFinite(value) && holds(value) ? value : undefined;
  },
});
const atLeastZero = number("a number >= 0", (value) => value >= 0);
const positive = number("a number > 0", (value) => value > 0);
const share = number("a number between 0 and 1", (value) => value >= 0 && value <= 1);
const shareAbove0 = number("a number above 0 and at most 1", (value) => value > 0 && value <= 1);
const shareBelow1 = number("a number >= 0 and below 1", (value) => value >= 0 && value < 1);
const count = number("a whole number >= 1", (value) => Number.isSafeInteger(value) && value >= 1);
const wholeAtLeastZero = number("a whole number >= 0", (value) => Number.isSafeInteger(value) && value >= 0);
const list = (
  wanted: string,
  { read }: ValueRule,
  holds: (values: readonly number[]) => boolean = () => true,
): ValueRule => ({
  wanted,
  read: (text) => {
    const values = text.split("/").map(read);
    return values.includes(undefined) || !holds(values as number[]) ? undefined : (values as number[]);
  },
});
const wholeList = list("whole numbers >= 0 with / between them, as in 30/80", wholeAtLeastZero);
const atLeastZeroList = list("numbers >= 0 with / between them, as in 0.2/1/0", atLeastZero);
const risingShares = list(
  "two or more numbers that rise from 0, with / between them, as in 0/0.2/1",
  atLeastZero,
  (values) => values.length > 1 && values[0] === 0 && values.every((value, i) => i === 0 || value >= values[i - 1]),
);
const choice = (...options: string[]): ValueRule => ({
  wanted: options.join(" or "),
  read: (text) => (options.includes(text) ? text : undefined),
});
const flag: ValueRule = {
  wanted: "true or false",
  read: (text) =>
    (({ true: true, "1": true, false: false, "0": false }) as Record<string, boolean>)[text.toLowerCase()],
};
const unit = choice("step", "epoch");
const common = { base_lr: atLeastZero, unit, for: count };
const totalIters = (values: Values): number | undefined => values["total_iters"] as number | undefined;
/** Who gives a factor wants it to count: PyTorch's 5. */
const constantIters = (values: Values): number | undefined =>
  totalIters(values) ?? ("factor" in values ? 5 : undefined);
/** testLoss is "test-loss", as flags are written. */
const typed = (monitor: Monitor): string => monitor.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`);

export const kinds: Readonly<Record<string, Kind>> = {
  constant: {
    unit: "epoch",
    keys: { factor: share, total_iters: wholeAtLeastZero, ...common },
    required: [],
    example: "constant:factor=0.1,total_iters=5",
    make: (values, lr) =>
      constant({ lr, totalIters: constantIters(values) ?? 0, ...camelCase<{ factor?: number }>(values) }),
    lasts: constantIters,
  },
  linear: {
    unit: "epoch",
    keys: { start_factor: shareAbove0, end_factor: share, total_iters: count, ...common },
    required: [],
    example: "linear:start_factor=0.1,total_iters=5+cosine",
    make: (values, lr) => linear({ lr, ...camelCase<{ startFactor?: number }>(values) }),
    lasts: (values) => totalIters(values) ?? 5,
  },
  step: {
    unit: "epoch",
    keys: { step_size: count, gamma: positive, ...common },
    required: ["step_size"],
    example: "step:step_size=30,gamma=0.1",
    make: (values, lr) => stepDecay({ lr, ...camelCase<{ stepSize: number; gamma?: number }>(values) }),
  },
  multistep: {
    unit: "epoch",
    keys: { milestones: wholeList, gamma: positive, ...common },
    required: ["milestones"],
    example: "multistep:milestones=30/80,gamma=0.1",
    make: (values, lr) => multiStep({ lr, ...camelCase<{ milestones: number[]; gamma?: number }>(values) }),
  },
  polynomial: {
    unit: "epoch",
    keys: { total_iters: count, power: positive, ...common },
    required: [],
    example: "polynomial:power=2",
    make: (values, lr, length) =>
      polynomial({ lr, totalIters: Math.ceil(length), ...camelCase<{ power?: number }>(values) }),
    lasts: totalIters,
  },
  exponential: {
    unit: "epoch",
    keys: { gamma: positive, ...common },
    required: ["gamma"],
    example: "exponential:gamma=0.95",
    make: (values, lr) => exponential({ lr, ...camelCase<{ gamma: number }>(values) }),
  },
  cosine: {
    unit: "epoch",
    keys: { T_max: count, eta_min: atLeastZero, ...common },
    required: [],
    example: "cosine:T_max=200,eta_min=0.0001",
    make: (values, lr, length) =>
      cosineAnnealing({ lr, tMax: Math.ceil(length), ...camelCase<{ etaMin?: number }>(values) }),
    lasts: (values) => values["T_max"] as number | undefined,
  },
  "warm-restarts": {
    unit: "epoch",
    keys: { T_0: count, T_mult: count, eta_min: atLeastZero, ...common },
    required: ["T_0"],
    example: "warm-restarts:T_0=10,T_mult=2",
    make: (values, lr) => cosineAnnealingWarmRestarts({ lr, ...camelCase<{ t0: number; tMult?: number }>(values) }),
  },
  cyclic: {
    unit: "step",
    keys: {
      base_lr: atLeastZero,
      max_lr: positive,
      step_size_up: count,
      step_size_down: count,
      mode: choice("triangular", "triangular2", "exp_range"),
      gamma: positive,
      cycle_momentum: flag,
      base_momentum: shareBelow1,
      max_momentum: shareBelow1,
      unit,
      for: count,
    },
    required: [],
    example: "cyclic:base_lr=0.001,max_lr=0.1,step_size_up=2000",
    make: makeCyclic,
  },
  plateau: {
    unit: "epoch",
    keys: {
      monitor: choice(...MONITORS.map(typed)),
      mode: choice("min", "max"),
      factor: shareBelow1,
      patience: wholeAtLeastZero,
      threshold: atLeastZero,
      threshold_mode: choice("rel", "abs"),
      cooldown: wholeAtLeastZero,
      min_lr: atLeastZero,
      eps: atLeastZero,
      base_lr: atLeastZero,
    },
    required: [],
    example: "plateau:factor=0.1,patience=10,monitor=test-loss",
    make: makePlateau,
  },
  piecewise: {
    unit: "step",
    keys: { shares: risingShares, factors: atLeastZeroList, ...common },
    required: ["shares", "factors"],
    example: "piecewise:shares=0/0.2/1,factors=0.2/1/0",
    clash: (values) => {
      const [shares, factors] = [values["shares"], values["factors"]].map((numbers) => (numbers as number[]).length);
      return shares === factors ? undefined : `${shares} shares need as many factors, not ${factors}`;
    },
    make: makePiecewise,
  },
  onecycle: {
    unit: "step",
    keys: {
      max_lr: positive,
      total_steps: count,
      epochs: count,
      steps_per_epoch: count,
      pct_start: share,
      anneal_strategy: choice("cos", "linear"),
      cycle_momentum: flag,
      base_momentum: shareBelow1,
      max_momentum: shareBelow1,
      div_factor: positive,
      final_div_factor: positive,
      three_phase: flag,
      unit,
      for: count,
    },
    required: [],
    example: "onecycle:max_lr=0.1,pct_start=0.25,anneal_strategy=linear",
    make: makeOneCycle,
    lasts: (values) => values["total_steps"] as number | undefined,
  },
};

function makeOneCycle(values: Values, lr: number, length: number, context: ScheduleContext): Schedule {
  const { epochs, steps_per_epoch: stepsPerEpoch, ...rest } = values as Record<string, number>;
  let totalSteps = Math.ceil(length);
  if (epochs !== undefined || stepsPerEpoch !== undefined) {
    totalSteps = stepsOf(epochs ?? context.epochs, stepsPerEpoch ?? context.stepsPerEpoch);
  }
  return oneCycle({ maxLr: lr, totalSteps, ...camelCase<{ totalSteps?: number }>(rest) });
}

/** `max_lr` is the context's rate unless given; `base_lr` a tenth of it, as nobody has said. */
function makeCyclic(values: Values, lr: number): Schedule {
  const { base_lr: baseLr, max_lr: maxLr = lr, ...rest } = values as Record<string, number>;
  return cyclic({ baseLr: baseLr ?? maxLr / 10, maxLr, ...camelCase<Partial<CyclicOptions>>(rest) });
}

function makePlateau(values: Values, lr: number, _length: number, { heldOut }: ScheduleContext): AnySchedule {
  const { monitor: given = heldOut ? "validation-loss" : "test-loss", ...rest } = values;
  const monitor = MONITORS.find((name) => typed(name) === given)!;
  return reduceLROnPlateau({ lr, monitor, ...camelCase<Partial<PlateauOptions>>(rest) });
}

/** Shares of the training become whole steps, rounded down, as the recipes that use such lines do. */
function makePiecewise(values: Values, lr: number, length: number): Schedule {
  const { shares, factors } = values as Record<string, number[]>;
  // 0.2 * 45 is a little above 9; what is meant is 9.
  const steps = shares.map((part) => Math.floor(Number((part * length).toPrecision(12))));
  return piecewiseLinear({ lr, steps, factors });
}

/** PyTorch's names to ours: T_max to tMax, pct_start to pctStart. */
function camelCase<T>(values: Values): T {
  const rename = (key: string): string =>
    key.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [rename(key), value])) as T;
}
