// Run folders as compare.js reads them.
import { existsSync } from "node:fs";
import path from "node:path";
import { files } from "#files";
import type { EpochReport } from "../../../training/index.ts";
import { inside, readRunFiles } from "../../../training/report/run-files.ts";
import { UsageError } from "../shared/errors.ts";

export interface ComparedRun {
  /** The folder's name; with its parent's where two are the same. */
  readonly name: string;
  readonly dir: string;
  readonly epochs: readonly EpochReport[];
  /** Everything that was set, flattened to text. */
  readonly settings: Readonly<Record<string, string>>;
}

/** @throws Error of one line for a folder that is no run, or one without a finished epoch */
export async function readRuns(dirs: readonly string[]): Promise<ComparedRun[]> {
  const real = dirs.map((dir) => path.resolve(dir));
  if (real.length < 2) throw new UsageError("name two or more run folders to compare");
  const twice = real.find((dir, i) => real.indexOf(dir) !== i);
  if (twice !== undefined) throw new UsageError(`${twice} is named twice`);
  const names = nameRuns(real);
  return Promise.all(real.map((dir, i) => readRun(dir, names[i], dirs[i])));
}

async function readRun(dir: string, name: string, typed: string): Promise<ComparedRun> {
  if (!existsSync(path.join(dir, "config.json"))) {
    const what = existsSync(dir) ? "holds no run (it has no config.json)" : "does not exist";
    throw new Error(`${typed} ${what}: name the --out folders of runs`);
  }
  const { config, epochs } = await readRunFiles(files.absolute(dir));
  if (epochs.length === 0)
    throw new Error(`${typed} has no finished epoch to compare (metrics.jsonl is missing or empty)`);
  const { name: adapter, description } = inside(config, "device");
  const machine = [description, adapter].find((text) => typeof text === "string" && text !== "");
  const settings = { ...inside(config, "settings"), device: machine, kernels: config["kernelFamily"] };
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined && value !== null);
  return { name, dir: typed, epochs, settings: Object.fromEntries(entries.map(([key, value]) => [key, show(value)])) };
}

const show = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** As short as tells them apart. */
function nameRuns(dirs: readonly string[]): string[] {
  const tail = (dir: string, parts: number): string => dir.split(path.sep).slice(-parts).join("/");
  for (let parts = 1; ; parts++) {
    const names = dirs.map((dir) => tail(dir, parts));
    if (new Set(names).size === dirs.length) return names;
  }
}
