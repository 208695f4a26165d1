// Flags: their syntax, ranges and defaults. A value out of range is an error that names the flag, the range and the value.
import { Command, Option } from "commander";
import { UsageError } from "./errors.ts";

/** Reads the text of a flag; undefined where it is not what is wanted. */
export interface Rule<T> {
  /** Completes "must be ...". */
  readonly wanted: string;
  read(text: string): T | undefined;
}

function numeric(wanted: string, holds: (value: number) => boolean): Rule<number> {
  return {
    wanted,
    read: (text) => {
      // Number() also takes "", "0x10" and " 7".
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
      return Number.isFinite(value) && holds(value) ? value : undefined;
    },
  };
}

export const wholeFrom = (least: number): Rule<number> =>
  numeric(`a whole number from ${least}`, (value) => Number.isInteger(value) && value >= least && value < 2 ** 31);
export const seedNumber = numeric(
  "a whole number from 0 to 4294967295",
  (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
);
export const above0 = numeric("a number above 0", (value) => value > 0);
export const above0To1 = numeric("a number above 0 and at most 1", (value) => value > 0 && value <= 1);
export const from0 = numeric("a number from 0", (value) => value >= 0);
export const from0To1 = numeric("a number from 0 to 1", (value) => value >= 0 && value <= 1);
export const from0Below1 = numeric("a number from 0 to below 1", (value) => value >= 0 && value < 1);
export const between0And1 = numeric("a number between 0 and 1", (value) => value > 0 && value < 1);

/** Red, green and blue with commas between them. */
export function threeNumbers(one: Rule<number>, example: string): Rule<readonly [number, number, number]> {
  return {
    wanted: `three numbers, each ${one.wanted}, as in ${example}`,
    read: (text) => {
      const values = text.split(",").map((part) => one.read(part.trim()));
      return values.length === 3 && !values.includes(undefined) ? (values as [number, number, number]) : undefined;
    },
  };
}

export const anyText: Rule<string> = { wanted: "a text", read: (text) => (text === "" ? undefined : text) };

export function oneOf<T extends string>(...names: readonly T[]): Rule<T> {
  return { wanted: listed(names), read: (text) => names.find((name) => name === text) };
}

/** A set of names that is long, or that users misspell: the message suggests the one that was meant. */
export function named(what: string, names: readonly string[], suggest: (word: string) => string): Rule<string> {
  return {
    wanted: what,
    read: (text) => {
      if (names.includes(text)) return text;
      throw new UsageError(`unknown ${what} "${text}"${suggest(text)}`);
    },
  };
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/**
 * A flag with a value.
 *
 * @param byDefault the value where the flag is not given, or `{ text }` for what is decided later
 */
export function flag<T>(
  flags: string,
  description: string,
  rule: Rule<T>,
  byDefault: T | { readonly text: string },
): Option {
  const option = new Option(flags, description);
  const decidedLater = typeof byDefault === "object" && byDefault !== null && "text" in byDefault;
  if (decidedLater) option.default(undefined, byDefault.text);
  else option.default(byDefault);
  return option.argParser((text: string) => {
    // Commander takes whatever comes next.
    if (text.startsWith("--")) throw new UsageError(`${option.long} needs a value, got the flag ${text}`);
    const value = rule.read(text);
    if (value !== undefined) return value;
    throw new UsageError(`${option.long} must be ${rule.wanted}, not ${text === "" ? "empty" : text}`);
  });
}

/** A flag without a value, off by default; `--no-...` is on by default. */
export function toggle(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.negate ? option.default(true, "off") : option.default(false, "off");
}

/** A command with this product's manners: short errors, exit status 2 for wrong use, every default in `--help`. */
export function makeCommand(name: string, description: string): Command {
  const command = new Command(`node cli/${name}.js`);
  command
    .description(description)
    .exitOverride()
    .allowExcessArguments(false)
    .helpOption("-h, --help", "print this")
    .configureHelp({ optionDescription: describeOption, helpWidth: Math.min(process.stdout.columns ?? 120, 120) })
    .configureOutput({
      outputError: (text, write) => write(`${name}: ${reword(text, command)}\n`),
    });
  return command;
}

/** Flags of other tools, and what to do here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "--learning-rate": "it is --lr here",
  "--wd": "it is --weight-decay here",
  "--bs": "it is --batch-size here",
  "-b": "it is --batch-size here",
  "--amp": "it is --precision mixed here",
  "--fp16": "it is --precision mixed here",
  "--pretrained": "it is --init FILE here",
  "--num-classes": "it is --classes here",
  "--warmup-epochs": "it is --schedule linear:total_iters=5+cosine here, of 5 epochs",
  "--no-augment": "it is --augment none here",
  "--workers": "leave it out, the images of --data are decoded once, on all cores",
};

/** Commander's messages in our manner. */
function reword(text: string, { args, options }: Command): string {
  if (text.includes("too many arguments"))
    return `unexpected "${args.join(" ")}": this command takes flags only, see --help`;
  const [, unknown] = /unknown option '(.*?)'/.exec(text) ?? [];
  const here = ELSEWHERE[unknown?.replace(/=.*/, "").replaceAll("_", "-") ?? ""];
  const [, needed] = /^.*?(--[\w-]+)/.exec(here ?? "") ?? [];
  if (options.some(({ long }) => long === needed)) return `unknown option '${unknown}': ${here}`;
  return text
    .trim()
    .replace(/^error: /, "")
    .replace(/\n\(Did you (.*)\)$/, "; did you $1")
    .replace(/^unknown option '(.*?)'$/, "unknown option '$1': see --help");
}

function describeOption(option: Option): string {
  const text = option.defaultValueDescription ?? defaultText(option.defaultValue);
  return text === undefined || text === "" ? option.description : `${option.description} (default: ${text})`;
}

function defaultText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value);
}
