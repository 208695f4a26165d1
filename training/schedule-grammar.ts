// `--schedule NAME:key=value,key=value`: PyTorch's parameters by PyTorch's names, lists with `/`.
import { constant, cosineAnnealing, exponential, multiStep, oneCycle, perEpoch, stepDecay } from "./schedules.ts";
import type { Schedule } from "./schedules.ts";
import { suggestion } from "./suggest.ts";

/** What the rest of the command line says. */
export type ScheduleContext = {
  /** The base rate (`--lr`). */
  lr: number;
  epochs: number;
  /** Batches in an epoch, the partial one included. */
  stepsPerEpoch: number;
  /** The optimizer's momentum (beta1 for Adam), given back at each step by schedules that don't cycle it. */
  momentum?: number | undefined;
};

/** The returned schedule is a function of the global step, whatever the schedule itself counts. */
export type ScheduleMaker = (context: ScheduleContext) => Schedule;

type Value = number | boolean | string | readonly number[];
type Values = Readonly<Record<string, Value>>;
type ValueRule = { wanted: string; read: (text: string) => Value | undefined };

type Kind = {
  unit: "step" | "epoch";
  keys: Readonly<Record<string, ValueRule>>;
  required: readonly string[];
  example: string;
  /** `length`: the training's length in the schedule's own unit. */
  make: (values: Values, lr: number, length: number, context: ScheduleContext) => Schedule;
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
const momentum = number("a number >= 0 and below 1", (value) => value >= 0 && value < 1);
const count = number("a whole number >= 1", (value) => Number.isSafeInteger(value) && value >= 1);
const counts: ValueRule = {
  wanted: "whole numbers >= 1 with / between them, as in 30/80",
  read: (text) => {
    const values = text.split("/").map(count.read);
    return values.includes(undefined) ? undefined : (values as number[]);
  },
};
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
const common = { base_lr: atLeastZero, unit };

const kinds: Readonly<Record<string, Kind>> = {
  constant: {
    unit: "epoch",
    keys: common,
    required: [],
    example: "constant",
    make: (_, lr) => constant({ lr }),
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
    keys: { milestones: counts, gamma: positive, ...common },
    required: ["milestones"],
    example: "multistep:milestones=30/80,gamma=0.1",
    make: (values, lr) => multiStep({ lr, ...camelCase<{ milestones: number[]; gamma?: number }>(values) }),
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
    make: (values, lr, length) => cosineAnnealing({ lr, tMax: length, ...camelCase<{ etaMin?: number }>(values) }),
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
      base_momentum: momentum,
      max_momentum: momentum,
      div_factor: positive,
      final_div_factor: positive,
      three_phase: flag,
      unit,
    },
    required: [],
    example: "onecycle:max_lr=0.1,pct_start=0.25,anneal_strategy=linear",
    make: makeOneCycle,
  },
};

function makeOneCycle(values: Values, lr: number, length: number, context: ScheduleContext): Schedule {
  const { epochs, steps_per_epoch: stepsPerEpoch, ...rest } = values as Record<string, number>;
  let totalSteps = length;
  if (epochs !== undefined || stepsPerEpoch !== undefined) {
    totalSteps = (epochs ?? context.epochs) * (stepsPerEpoch ?? context.stepsPerEpoch);
  }
  return oneCycle({ maxLr: lr, totalSteps, ...camelCase<{ totalSteps?: number }>(rest) });
}

export const scheduleNames: readonly string[] = Object.keys(kinds);

/**
 * Reads a `--schedule` value. All that can be checked without the training's length is checked here.
 *
 * onecycle counts steps and the others epochs, unless `unit=step|epoch` is given. `total_steps` and `T_max` default to the length of
 * the training in that unit, `max_lr` to the context's lr; `base_lr`, where given, replaces the context's lr.
 *
 * @throws Error that names the faulty part and what is allowed there
 */
export function parseSchedule(text: string): ScheduleMaker {
  const colon = text.indexOf(":");
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) throw new Error(`unknown schedule "${name}"${suggestion(name, scheduleNames)}`);

  const {
    unit: chosenUnit,
    base_lr: baseLr,
    ...values
  } = readValues(name, kind, colon < 0 ? "" : text.slice(colon + 1));
  const byStep = (chosenUnit ?? kind.unit) === "step";
  return (context) => {
    const { lr, epochs, stepsPerEpoch } = context;
    const length = byStep ? epochs * stepsPerEpoch : epochs;
    const counted = kind.make(values, (baseLr as number | undefined) ?? lr, length, context);
    const schedule = byStep ? counted : perEpoch(counted, stepsPerEpoch);
    const momentum = context.momentum;
    return momentum === undefined ? schedule : (step) => ({ momentum, ...schedule(step) });
  };
}

function readValues(name: string, kind: Kind, text: string): Values {
  const values: Record<string, Value> = {};
  for (const part of text.trim() === "" ? [] : text.split(",")) {
    const equals = part.indexOf("=");
    const key = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (!Object.hasOwn(kind.keys, key)) {
      throw new Error(`schedule ${name}: unknown parameter "${key}"${suggestion(key, Object.keys(kind.keys))}`);
    }
    const rule = kind.keys[key];
    const given = equals < 0 ? "" : part.slice(equals + 1).trim();
    if (Object.hasOwn(values, key)) throw new Error(`schedule ${name}: ${key} is given twice`);
    const value = rule.read(given);
    if (value === undefined) throw new Error(`schedule ${name}: ${key} must be ${rule.wanted}, not "${given}"`);
    values[key] = value;
  }
  const missing = kind.required.find((key) => values[key] === undefined);
  if (missing !== undefined) throw new Error(`schedule ${name}: ${missing} is missing, as in ${kind.example}`);
  return values;
}

/** PyTorch's names to ours: T_max to tMax, pct_start to pctStart. */
function camelCase<T>(values: Values): T {
  const rename = (key: string): string =>
    key.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [rename(key), value])) as T;
}
