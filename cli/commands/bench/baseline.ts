// Stored ratios, and how new ones differ from them.
import type { DeviceInfo } from "../../../engine/index.ts";
import type { Ratios } from "./ratios.ts";

/** What was measured on one class of adapters. */
export interface BaselineEntry {
  readonly model: string;
  readonly batchSize: number;
  readonly imageSize: number;
  readonly ratios: Ratios;
}

/** By class of adapter. */
export type Baseline = Readonly<Record<string, BaselineEntry>>;

/** Adapters of a class run the same kernels about equally well. */
export function adapterClass({ software, vendor, architecture }: DeviceInfo): string {
  const parts = software ? ["software", vendor] : [vendor, architecture];
  return parts.filter(Boolean).join(" ") || "unknown";
}

export interface Difference {
  readonly name: string;
  readonly before: number;
  readonly now: number;
  /** `now` over `before`: above 1 is worse. */
  readonly factor: number;
}

export interface Comparison {
  /** Worse by more than the factor that is allowed, the worst first. */
  readonly worse: readonly Difference[];
  /** Better by more than it. */
  readonly better: readonly Difference[];
  /** Measured now, and not in the baseline. */
  readonly added: readonly string[];
  /** In the baseline, and not measured now. */
  readonly gone: readonly string[];
}

export function compareRatios(before: Ratios, now: Ratios, allowed: number): Comparison {
  const both = Object.keys(before).filter((name) => name in now);
  const differences = both
    .map((name) => ({ name, before: before[name], now: now[name], factor: now[name] / before[name] }))
    .sort((a, b) => b.factor - a.factor);
  return {
    // A ratio that is not a number is no proof of being as fast.
    worse: differences.filter(({ factor }) => !(factor <= allowed)),
    better: differences.filter(({ factor }) => factor < 1 / allowed).reverse(),
    added: Object.keys(now).filter((name) => !(name in before)),
    gone: Object.keys(before).filter((name) => !(name in now)),
  };
}

/** @throws Error of one line where the text is no baseline */
export function parseBaseline(text: string, path: string): Baseline {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not JSON; remove it and store new ratios with --update`, { cause });
  }
  const isObject = (x: unknown): x is Record<string, unknown> =>
    typeof x === "object" && x !== null && !Array.isArray(x);
  const isEntry = (entry: unknown): boolean =>
    isObject(entry) &&
    typeof entry["model"] === "string" &&
    [entry["batchSize"], entry["imageSize"]].every((n) => Number.isInteger(n)) &&
    isObject(entry["ratios"]) &&
    Object.values(entry["ratios"]).every((ratio) => typeof ratio === "number");
  if (isObject(value) && Object.values(value).every(isEntry)) return value as Baseline;
  throw new Error(`${path} holds something else than ratios by adapter; remove it and store new ones with --update`);
}

/** As it is stored: three digits, names in order, so that an update changes few lines. */
export function formatBaseline(baseline: Baseline): string {
  const sorted = <T>(record: Readonly<Record<string, T>>): [string, T][] =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  const rounded = sorted(baseline).map(([adapter, entry]) => {
    const ratios = sorted(entry.ratios).map(([name, ratio]) => [name, Number(ratio.toPrecision(3))] as const);
    return [adapter, { ...entry, ratios: Object.fromEntries(ratios) }] as const;
  });
  return `${JSON.stringify(Object.fromEntries(rounded), null, 2)}\n`;
}
