// node bench/check.js: has something become slower? Compares ratios of times with those that are stored.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { files } from "#files";
import { createModel } from "../../nn/index.ts";
import {
  adapterClass,
  compareRatios,
  formatBaseline,
  parseBaseline,
  type Baseline,
  type BaselineEntry,
  type Comparison,
  type Difference,
} from "./bench/baseline.ts";
import { hasTimestamps } from "./bench/measure.ts";
import { measureRatios } from "./bench/ratios.ts";
import { table } from "./bench/table.ts";
import { addDeviceFlags, describeDevice, openCommandDevice, type DeviceFlags } from "./shared/device-flags.ts";
import { STATUS, usage } from "./shared/errors.ts";
import { anyText, flag, makeCommand, toggle, wholeFrom, type Rule } from "./shared/flags.ts";
import { modelFlag } from "./shared/model-flags.ts";
import { Output } from "./shared/output.ts";
import { runCommand } from "./shared/run.ts";

interface Flags extends DeviceFlags {
  readonly baseline: string;
  readonly factor: number;
  readonly rounds: number;
  readonly model?: string;
  readonly batchSize?: number;
  readonly imageSize?: number;
  readonly update: boolean;
  readonly json: boolean;
}

const STORED = fileURLToPath(new URL("../../../bench/baseline.json", import.meta.url));
/** What is measured where neither flags nor the baseline say. */
const WORK = { model: "resnet18", batchSize: 32, imageSize: 32 };

const above1: Rule<number> = {
  wanted: "a number above 1",
  read: (text) => (Number(text) > 1 && Number.isFinite(Number(text)) ? Number(text) : undefined),
};

export function main(args: readonly string[]): Promise<never> {
  const asStored = (otherwise: string | number): { text: string } => ({ text: `the baseline's, else ${otherwise}` });
  const command = makeCommand(
    "check",
    "Compares ratios (each kernel's time to the adapter's ceilings, variants of a step to one another) with stored ones. Exit status 1 where one is worse or no longer there, 0 where nothing is stored for this kind of adapter.",
  )
    .name("node bench/check.js")
    .addOption(flag("--baseline <file>", "the stored ratios", anyText, { text: "bench/baseline.json" }))
    .addOption(flag("--factor <x>", "how much worse is a regression", above1, 1.5))
    .addOption(flag("--rounds <n>", "measurements, of which the median counts", wholeFrom(1), 5))
    .addOption(modelFlag(asStored(WORK.model)))
    .addOption(flag("--batch-size <n>", "images a step", wholeFrom(1), asStored(WORK.batchSize)))
    .addOption(flag("--image-size <pixels>", "height and width of the images", wholeFrom(1), asStored(WORK.imageSize)))
    .addOption(toggle("--update", "store the ratios of this run instead"))
    .addOption(toggle("--json", "print the ratios and the comparison as JSON"));
  addDeviceFlags(command).action(check);
  return runCommand(command, args);
}

async function check(flags: Flags): Promise<void> {
  const output = new Output(flags.json);
  const path = flags.baseline ?? STORED;
  const baseline = existsSync(path) ? parseBaseline(await readFile(path, "utf8"), path) : {};
  if (flags.model !== undefined) usage(() => createModel(flags.model!));
  using device = await openCommandDevice(flags);
  if (!hasTimestamps(device))
    throw new Error("this adapter has no timestamp-query feature; choose another one with --adapter");
  const adapter = adapterClass(device.info);
  const stored = Object.hasOwn(baseline, adapter) ? baseline[adapter] : null;
  if (!stored && !flags.update) {
    const nothing = `${path} has nothing for "${adapter}" adapters`;
    output.result(`nothing was compared: ${nothing}; store this one's ratios with --update`);
    return output.document({ adapter, baseline: null });
  }
  const work = workOf(flags, stored);
  output.note(`${work.model}, batch ${work.batchSize}, on ${describeDevice(device)}`);
  const known = flags.update ? null : stored!.ratios;
  const onPart = (name: string): void => output.note(name);
  const ratios = await measureRatios(device, { ...work, rounds: flags.rounds, stored: known, onPart });
  if (!known) return update(path, { ...baseline, [adapter]: { ...work, ratios } }, adapter, output);
  report(compareRatios(known, ratios, flags.factor), { adapter, ratios, factor: flags.factor }, output);
}

/** Other work would have other ratios, so the baseline decides; flags are for a new one. */
function workOf(flags: Flags, stored: BaselineEntry | null): typeof WORK {
  const { model, batchSize, imageSize } = stored ?? WORK;
  const asked = {
    model: flags.model ?? model,
    batchSize: flags.batchSize ?? batchSize,
    imageSize: flags.imageSize ?? imageSize,
  };
  const same = asked.model === model && asked.batchSize === batchSize && asked.imageSize === imageSize;
  if (stored && !flags.update && !same) {
    throw new Error(
      `the baseline is of ${model}, batch ${batchSize}, ${imageSize} pixels; leave these flags out, or --update`,
    );
  }
  return asked;
}

async function update(path: string, baseline: Baseline, adapter: string, output: Output): Promise<void> {
  await files.writeAtomic(files.absolute(path), formatBaseline(baseline));
  output.result(`stored ${Object.keys(baseline[adapter].ratios).length} ratios of "${adapter}" adapters in ${path}`);
  output.document({ adapter, ratios: baseline[adapter].ratios });
}

function report(
  comparison: Comparison,
  { adapter, ratios, factor }: { readonly adapter: string; readonly ratios: object; readonly factor: number },
  output: Output,
): void {
  const { worse, better, added, gone } = comparison;
  const lines = (differences: readonly Difference[], word: string): string[] =>
    table(
      [word, "baseline", "now", "factor"],
      differences.map((d) => [d.name, ...[d.before, d.now, d.factor].map((value) => value.toPrecision(3))]),
    );
  if (worse.length > 0) for (const line of lines(worse, "slower")) output.result(line);
  if (better.length > 0) for (const line of lines(better, "faster: consider --update")) output.result(line);
  if (added.length > 0) output.result(`not in the baseline: ${added.join(", ")}`);
  if (gone.length > 0) {
    output.result(
      `only in the baseline: ${gone.join(", ")}; if they are gone for good, store what is there with --update`,
    );
  }
  const slower = worse.length > 0 ? `${worse.length} are slower` : "nothing is slower";
  const missing = gone.length > 0 ? `, ${gone.length} could not be compared` : "";
  output.result(`${Object.keys(ratios).length} ratios: ${slower} by more than a factor of ${factor}${missing}`);
  output.document({ adapter, factor, ratios, ...comparison });
  // A kernel that is gone may have become a slower one of another name.
  if (worse.length > 0 || gone.length > 0) process.exitCode = STATUS.failed;
}
