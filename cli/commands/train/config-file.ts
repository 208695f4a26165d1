// `--config FILE` and `--preset NAME`: flags from elsewhere. What is typed wins, then the file, then the preset.
import { readFileSync } from "node:fs";
import type { Command, Option } from "commander";
import { preset } from "../../../training/presets/index.ts";
import { closest, suggestion } from "../../../training/suggest.ts";
import { isFolder, locate } from "../shared/data-flags.ts";
import { UsageError } from "../shared/errors.ts";
import { explainRead } from "../shared/paths.ts";

/**
 * Sets the flags that the command line does not: those that the file of `--config` gives, then those of `--preset`. A run's config.json
 * is read by its `settings`, which leave nothing to a preset.
 */
export function applyRecipes(command: Command): void {
  const given = command.opts<{ config?: string; preset?: string }>();
  if (given.config !== undefined) {
    const { settings, isRun } = readSettings(given.config);
    if (isRun && given.preset !== undefined) {
      throw new UsageError(
        `--preset ${given.preset} would change nothing: ${given.config} has all settings of a run; leave one of the two out`,
      );
    }
    apply(command, isRun ? withoutItsData(command, settings) : settings, given.config, ["cli"]);
  }
  const { preset: name } = command.opts<{ preset?: string }>();
  if (name !== undefined) apply(command, preset(name).settings, `--preset ${name}`, ["cli", "config"]);
  dropNesterov(command);
}

/** A run's settings; on other images without what follows from its own. */
function withoutItsData(command: Command, settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { data } = command.opts<{ data: string }>();
  const other = command.getOptionValueSource("data") === "cli" && locate(data) !== settings["data"];
  const follows = ["classes", "mean", "std", "split", ...(isFolder(data) ? [] : ["imageSize", "resize"])];
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !(other && follows.includes(name))));
}

/** A recipe's Nesterov momentum gives way to an optimizer or a momentum that is typed and has none. */
function dropNesterov(command: Command): void {
  const { optimizer, momentum } = command.opts<{ optimizer: string; momentum?: number }>();
  const typed = ["optimizer", "momentum"].some((name) => command.getOptionValueSource(name) === "cli");
  if (!typed || (optimizer === "sgd" && momentum !== 0)) return;
  if (command.getOptionValueSource("nesterov") === "config")
    command.setOptionValueWithSource("nesterov", false, "config");
}

/** @param stronger sources whose values stay */
function apply(
  command: Command,
  settings: Readonly<Record<string, unknown>>,
  path: string,
  stronger: readonly string[],
): void {
  const options = new Map(command.options.map((option) => [option.attributeName(), option]));
  for (const [key, value] of Object.entries(settings)) {
    const flag = key.replace(/^--/, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const negated = options.get(flag.slice("no-".length))?.long === `--${flag}`;
    const name = negated
      ? flag.slice("no-".length)
      : flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const option = options.get(name);
    if (name === "config" || name === "resume") throw new UsageError(`${path}: ${key} cannot be set in a file`);
    if (!option) throw new UsageError(`${path}: unknown flag "${key}"${meant(key, [...options.keys()])}`);
    if (stronger.includes(command.getOptionValueSource(name) ?? "")) continue;
    const given = parse(option, value, path);
    command.setOptionValueWithSource(name, negated ? !given : given, "config");
  }
}

/** The nearest name; all of them, which are many, where none is near. */
function meant(key: string, names: readonly string[]): string {
  const near = closest(key, names);
  return near === undefined ? suggestion(key, names) : `; did you mean "${near}"?`;
}

function readSettings(path: string): { settings: Record<string, unknown>; isRun: boolean } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(explainRead(cause, path, "--config"), { cause });
  }
  const value = parseObject(text, path);
  const { settings } = value;
  return isObject(settings) ? { settings, isRun: true } : { settings: value, isRun: false };
}

function parseObject(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`--config: ${path} is not JSON: ${reasonIn(text, cause as SyntaxError)}`, { cause });
  }
  if (isObject(value)) return value;
  throw new UsageError(`--config: ${path} is not a JSON object, as in {"epochs": 20, "lr": 0.1}`);
}

/** JSON.parse's reason, with the line and column of the position that it gives, where it does. */
function reasonIn(text: string, { message }: SyntaxError): string {
  const [, reason = message, position] = /^(.*?)(?: in JSON)? at position (\d+)/.exec(message) ?? [];
  if (position === undefined) return message.replace(/\s+/g, " ");
  const before = text.slice(0, Number(position)).split("\n");
  return `line ${before.length}, column ${before.at(-1)!.length + 1}: ${reason}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The value as the command line would have read it. */
function parse(option: Option, value: unknown, path: string): unknown {
  if (option.isBoolean() || option.negate) {
    if (typeof value === "boolean") return value;
    throw new UsageError(`${path}: ${option.attributeName()} must be true or false, not ${JSON.stringify(value)}`);
  }
  const text = Array.isArray(value) ? value.join(",") : value;
  if (typeof text !== "string" && typeof text !== "number") {
    throw new UsageError(`${path}: ${option.attributeName()} must be a text or a number, not ${JSON.stringify(value)}`);
  }
  return option.parseArg!(String(text), undefined);
}
