// `--resume DIR`: the settings come from the run's config.json.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { adapterName, type ChoiceTable, type Device, type KernelFamily } from "../../../engine/index.ts";
import { dataChange, type DataRecord, type RawDataset, type RunFolder } from "../../../training/index.ts";
import { LoadOptionError } from "../../../training/data/dataset.ts";
import { isFolder } from "../shared/data-flags.ts";
import { UsageError } from "../shared/errors.ts";
import type { Output } from "../shared/output.ts";
import { RUN_FLAGS, type TrainFlags } from "./flags.ts";
import { quote } from "./result.ts";
import type { Settings } from "./settings.ts";

/** What config.json holds besides the model. */
export interface RunRecord {
  readonly settings: Settings;
  readonly data: DataRecord;
  readonly device: Device["info"];
  readonly kernelFamily: KernelFamily;
  /** Runs of before there was a choice have none. */
  readonly kernels?: ChoiceTable;
}

/** @throws where config.json was not written by this command */
export function runRecord({ dir, config }: RunFolder): RunRecord {
  const { settings, data } = config as Partial<RunRecord>;
  if (settings && data) return config as unknown as RunRecord;
  throw new Error(`${dir}/config.json has no settings: train.js cannot continue a run that something else began`);
}

/** Flags beside `--resume` may repeat the run's settings, not change them. */
export function refuseContradictions(command: Command, flags: TrainFlags, { settings }: RunRecord): void {
  for (const option of command.options) {
    const key = option.attributeName();
    if (command.getOptionValueSource(key) === "default" || command.getOptionValueSource(key) === undefined) continue;
    if (key === "out") throw new UsageError("--out does not go with --resume: the run stays in its folder");
    if (RUN_FLAGS.includes(key)) continue;
    const [typed, run] = [flags, settings].map((values) => (values as unknown as Record<string, unknown>)[key]);
    if (JSON.stringify(typed) === JSON.stringify(run) || key === "data") continue;
    const instead = key === "epochs" ? "; to train longer start a new run with --init" : "";
    throw new UsageError(`${option.long} ${show(typed)} is not the run's (${show(run)}): leave it out${instead}`);
  }
}

const show = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "not set"));

/** @throws where the run's images are no longer where they were */
export function refuseMissingData(dir: string, { settings: { data } }: RunRecord): void {
  if (!isFolder(data) || existsSync(data)) return;
  throw new Error(`${data}, which the run is trained on, is not there: name its new place,\n${withData(dir)}`);
}

/** Says of an option that does not fit the data that it is the run's own: nobody typed it. */
export function explainRunOption(error: unknown, dir: string): unknown {
  if (!(error instanceof UsageError && error.cause instanceof LoadOptionError)) return error;
  const what = error.message.replace(/^data: |; leave .*$/g, "");
  return new UsageError(
    `the settings of ${dir} do not fit this data (${what}): name the images that the run began with,\n${withData(dir)}`,
    { cause: error },
  );
}

const withData = (dir: string): string => `node cli/train.js --resume ${quote(dir)} --data FOLDER`;

/** @throws where the images are not those that the run began with */
export function refuseOtherData(raw: RawDataset, { data }: RunRecord): void {
  const change = dataChange(raw, data);
  if (change !== null) throw new Error(`the data has changed: ${change}`);
}

/** Takes the kernels that the run began with, so that the bits are the same; on another device that could not be, and is said. */
export function matchDevice(device: Device, record: RunRecord, output: Output): void {
  const { info } = device;
  if (info.description === record.device.description && info.name === record.device.name) {
    device.family = record.kernelFamily;
    device.choices.load(record.kernels ?? {});
    return;
  }
  output.warn(`the run began on ${adapterName(record.device)}: results will differ in the last bits`);
}
