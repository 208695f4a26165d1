// What a run's folder says about it.
import { files } from "#files";
import type { EpochReport } from "../events.ts";
import type { RangeTest, StepRow } from "./figures/curves.ts";

/** lr-finder.json. */
export interface SavedRangeTest extends RangeTest {
  readonly stopped?: { readonly message: string };
  readonly warnings?: readonly string[];
}

export interface RunFiles {
  /** config.json; empty where there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly epochs: readonly EpochReport[];
  readonly steps: readonly StepRow[];
  readonly rangeTest: SavedRangeTest | null;
}

/** Reads what there is; files that are missing count as empty, lines that were cut off are left out. */
export async function readRunFiles(folder: string): Promise<RunFiles> {
  return {
    config: await readRunConfig(folder),
    epochs: lines<EpochReport>(await read(folder, "metrics.jsonl"), "epoch"),
    steps: lines<StepRow>(await read(folder, "steps.jsonl"), "step"),
    rangeTest: rangeTest(object(await read(folder, "lr-finder.json"))),
  };
}

/** config.json alone; empty where there is none. */
export async function readRunConfig(folder: string): Promise<RunFiles["config"]> {
  return object(await read(folder, "config.json")) ?? {};
}

async function read(folder: string, name: string): Promise<string> {
  const path = `${folder}/${name}`;
  return (await files.exists(path)) ? files.readText(path) : "";
}

function object(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

const lines = <Line>(text: string, key: string): Line[] =>
  text.split("\n").flatMap((line) => {
    const value = line === "" ? null : object(line);
    return value && typeof value[key] === "number" ? [value as Line] : [];
  });

function rangeTest(value: Record<string, unknown> | null): SavedRangeTest | null {
  if (!value || !["lrs", "losses", "smoothed"].every((key) => Array.isArray(value[key]))) return null;
  return { suggestions: {}, suggestion: null, method: null, ...value } as unknown as SavedRangeTest;
}

/** A part of the configuration: `inside(config, "settings")`. */
export function inside(config: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const value = config[key];
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
