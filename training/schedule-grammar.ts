// `--schedule NAME:key=value,key=value`: PyTorch's parameters by PyTorch's names, lists with `/`, one schedule after another with `+`.
import { kinds, type Kind, type ScheduleContext, type Value, type Values } from "./schedule-kinds.ts";
import { perEpoch, ratesAt, sequential, type AnySchedule, type Schedule } from "./schedules/index.ts";
import { suggestion } from "./suggest.ts";

export type { ScheduleContext } from "./schedule-kinds.ts";

/** The returned schedule is asked by the global step, whatever the schedule itself counts. */
export type ScheduleMaker = (context: ScheduleContext) => AnySchedule;

export const scheduleNames: readonly string[] = Object.keys(kinds);

/** A part of the text between `+`, read. */
interface Part {
  readonly name: string;
  readonly kind: Kind;
  readonly values: Values;
  readonly baseLr: number | undefined;
  readonly byStep: boolean;
  /** What `for` says. */
  readonly given: number | undefined;
  /** In the part's unit; undefined where it takes what is left. */
  readonly lasts: number | undefined;
}

/**
 * Reads a `--schedule` value. All that can be checked without the training's length is checked here.
 *
 * onecycle, cyclic and piecewise count steps and the others epochs, unless `unit=step|epoch` is given. `total_steps`, `T_max` and
 * polynomial's `total_iters` default to the length of the training in that unit, `max_lr` to the context's lr; `base_lr`, where given,
 * replaces the context's lr. `a+b` is b after a: a must know how long it lasts (`total_iters`, `T_max`, `total_steps`, or `for=N` with
 * any), b gets the rest, so that it takes no `for`.
 *
 * @throws Error that names the faulty part and what is allowed there
 */
export function parseSchedule(text: string): ScheduleMaker {
  const parts = text.split("+").map(readPart);
  const joined = parts.find(({ name }) => name === "plateau");
  if (joined && parts.length > 1) throw new Error("schedule plateau: cannot be joined with others by +");
  const endless = parts.slice(0, -1).find(({ lasts }) => lasts === undefined);
  if (endless) {
    throw new Error(
      `schedule ${endless.name}: must say how long it lasts before what follows it, as in ${endless.name}:for=5`,
    );
  }
  const over = parts.slice(0, -1).find(({ lasts }) => lasts === 0);
  if (over) {
    throw new Error(
      `schedule ${over.name}: total_iters=0 ends before it begins: leave ${over.name} out, or give it for=5`,
    );
  }
  const last = parts[parts.length - 1];
  if (last.given !== undefined) {
    throw new Error(
      `schedule ${last.name}: for=${last.given} does nothing in the last part, which goes on to the end of the training: leave it out, or say what follows, as in +constant`,
    );
  }
  return (context) => {
    const { momentum, stepsPerEpoch } = context;
    const steps = Math.round(context.epochs * stepsPerEpoch);
    const milestones: number[] = [];
    const schedules = parts.map((part, i) => {
      const start = milestones.at(-1) ?? 0;
      const lasts = part.lasts === undefined ? undefined : part.lasts * (part.byStep ? 1 : stepsPerEpoch);
      if (i === parts.length - 1) return makePart(part, steps - start, context);
      milestones.push(start + lasts!);
      const schedule = makePart(part, lasts!, context);
      // One that ends before the next begins is refused now, not when it is asked.
      ratesAt(schedule, lasts! - 1);
      return schedule;
    });
    const [only] = schedules;
    if (typeof only === "object") return only;
    const whole = parts.length === 1 ? only : sequential({ schedules: schedules as Schedule[], milestones });
    return momentum === undefined ? whole : (step) => ({ momentum, ...whole(step) });
  };
}

/** @param steps of the training that are the part's */
function makePart({ kind, values, baseLr, byStep }: Part, steps: number, context: ScheduleContext): AnySchedule {
  const { lr, stepsPerEpoch } = context;
  const length = Math.max(1, byStep ? steps : steps / stepsPerEpoch);
  const counted = kind.make(values, baseLr ?? lr, length, context);
  return byStep || typeof counted === "object" ? counted : perEpoch(counted, stepsPerEpoch);
}

function readPart(text: string): Part {
  const colon = text.indexOf(":");
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) throw new Error(`unknown schedule "${name}"${suggestion(name, scheduleNames)}`);
  const read = readValues(name, kind, colon < 0 ? "" : text.slice(colon + 1));
  const { unit: chosenUnit, for: lasts, ...rest } = read;
  const given = lasts as number | undefined;
  // cyclic has a base_lr of its own.
  const { base_lr: baseLr, ...others } = rest;
  const values = name === "cyclic" ? rest : others;
  return {
    name,
    kind,
    values,
    baseLr: name === "cyclic" ? undefined : (baseLr as number | undefined),
    byStep: (chosenUnit ?? kind.unit) === "step",
    given,
    lasts: given ?? kind.lasts?.(values),
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
  const clash = kind.clash?.(values);
  if (clash !== undefined) throw new Error(`schedule ${name}: ${clash}`);
  return values;
}
