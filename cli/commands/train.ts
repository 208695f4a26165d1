// node cli/train.js: trains a classifier into a run folder.
import type { Command } from "commander";
import type { Device } from "../../engine/index.ts";
import { readCheckpoint, type Checkpoint } from "../../nn/index.ts";
import {
  buildRun,
  buildSchedule,
  createRunFolder,
  DivergedError,
  environment,
  exportInfo,
  openRunFolder,
  recordData,
  restoreTrainer,
  toDevice,
  type Dataset,
  type LrMethod,
  type RawDataset,
  type Run,
  type RunConfig,
  type RunFolder,
} from "../../training/index.ts";
import type { LrFinderResult } from "../../training/lr-finder/index.ts";
import { FEW_STEPS } from "../../training/step-count.ts";
import { describeData, loadCommandData, sizeIsFixed } from "./shared/data-flags.ts";
import { describeDevice, openCommandDevice } from "./shared/device-flags.ts";
import { STATUS, usage } from "./shared/errors.ts";
import { Interrupt } from "./shared/interrupt.ts";
import { findRate } from "./shared/find-rate.ts";
import { counted, Output } from "./shared/output.ts";
import { checkResumeFolder, checkRunFolder, makeOutFolder, readInput } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";
import { versions } from "./shared/versions.ts";
import { applyRecipes } from "./train/config-file.ts";
import { fit } from "./train/fit.ts";
import { autoMethod, trainCommand, type TrainFlags } from "./train/flags.ts";
import { refuseAmongImages } from "./train/out.ts";
import { report } from "./train/report.ts";
import { tuneKernels } from "./train/tune.ts";
import { reportResult } from "./train/result.ts";
import {
  explainRunOption,
  matchDevice,
  refuseContradictions,
  refuseMissingData,
  refuseOtherData,
  runRecord,
  type RunRecord,
} from "./train/resume.ts";
import {
  checkFlags,
  chooseModel,
  describeInit,
  describeParameters,
  resolve,
  warnOfStem,
  type ModelChoice,
  type Settings,
} from "./train/settings.ts";
import { refuseTooLarge } from "./train/too-large.ts";

export function main(args: readonly string[]): Promise<never> {
  const command = trainCommand();
  command.action(() => train(command));
  return runCommand(command, args);
}

async function train(command: Command): Promise<void> {
  applyRecipes(command);
  const flags = command.opts<TrainFlags>();
  const output = new Output(flags.json);
  using interrupt = new Interrupt(() => output.note("\nstopping; once more to stop at once"));
  const plan = flags.resume === undefined ? await planNew(flags, output) : await planResume(command, flags, output);
  if (interrupt.signal.aborted) return end(untrained(output));
  output.note(`data    ${describeData(plan.raw)}`);
  usage(() => buildSchedule(plan.settings, plan.raw), "--schedule");
  using device = await openCommandDevice(flags);
  if (plan.record) matchDevice(device, plan.record, output);
  output.note(`device  ${describeDevice(device)}`);
  if (interrupt.signal.aborted) return end(untrained(output));
  end(await trainOn(device, plan, interrupt.signal, output));
}

function end(how: "done" | "interrupted"): void {
  process.exitCode = STATUS[how];
}

function untrained(output: Output): "interrupted" {
  output.note("interrupted before the first step: nothing was trained; run the same command again");
  return "interrupted";
}

/** All that is known before a device is opened. */
interface Plan {
  readonly settings: Settings;
  readonly raw: RawDataset;
  readonly init: { checkpoint: Checkpoint; path: string } | null;
  /** Where a new run goes, if it was named. */
  readonly out?: string | undefined;
  readonly folder: RunFolder | null;
  /** `--lr auto`: by which rule; null where the rate is given. */
  readonly findRate: LrMethod | null;
  readonly report: boolean;
  readonly record?: RunRecord;
}

async function planNew(flags: TrainFlags, output: Output): Promise<Plan> {
  checkFlags(flags);
  checkRunFolder(flags.out);
  await refuseAmongImages(flags);
  const init = await readInit(flags.init);
  const choice = chooseModel(flags, init && describeInit(init.path, init.checkpoint));
  const raw = await loadData(flags, choice, output);
  const settings = resolve(flags, choice, raw);
  if (flags.stem === undefined && !init) warnOfStem(settings, output);
  const { out, report } = flags;
  return { settings, raw, init, out, folder: null, findRate: autoMethod(flags.lr), report };
}

async function planResume(command: Command, flags: TrainFlags, output: Output): Promise<Plan> {
  const dir = flags.resume!;
  checkResumeFolder(dir);
  const folder = await openRunFolder(dir);
  const record = runRecord(folder);
  refuseContradictions(command, flags, record);
  const moved = command.getOptionValueSource("data") === "cli" ? { data: flags.data } : null;
  if (!moved) refuseMissingData(dir, record);
  const settings = { ...record.settings, ...moved };
  const raw = await loadData({ ...flags, ...settings }, settings, output).catch((error: unknown) => {
    throw explainRunOption(error, dir);
  });
  refuseOtherData(raw, record);
  return { settings, raw, init: null, folder, findRate: null, report: flags.report, record };
}

async function readInit(path: string | undefined): Promise<Plan["init"]> {
  if (path === undefined) return null;
  return { checkpoint: readCheckpoint(await readInput(path, "--init"), path), path };
}

async function loadData(flags: TrainFlags, { imageSize }: ModelChoice, output: Output): Promise<RawDataset> {
  const { validation, limit } = flags;
  const size = (await sizeIsFixed(flags.data)) ? flags.imageSize : imageSize;
  return loadCommandData(flags, output, { validation, limit, imageSize: size });
}

async function trainOn(
  device: Device,
  plan: Plan,
  signal: AbortSignal,
  output: Output,
): Promise<"done" | "interrupted"> {
  using data = toDevice(plan.raw);
  using run = buildRun(plan.settings, plan.init);
  if (run.started !== null) output.note(run.started);
  const { model, trainer } = run;
  output.note(`model   ${plan.settings.model}, ${describeParameters(model)}`);
  if (!plan.folder) await refuseTooLarge(device, trainer, data.train);
  if (!plan.folder && plan.settings.tune === "on") await tuneKernels(device, trainer, data.train, signal, output);
  if (signal.aborted) return untrained(output);
  const opened = plan.folder
    ? { folder: plan.folder, settings: plan.settings, rates: null }
    : await open(device, plan, run, data, signal, output);
  if (!opened) return untrained(output);
  const { folder, settings, rates } = opened;
  if (folder.state) {
    restoreTrainer(trainer, folder.state);
    await folder.cutBack();
  }
  output.note(`run     ${folder.dir}${folder.state ? `, from step ${folder.state.position.step}` : ""}`);
  const schedule = buildSchedule(settings, data);
  const { epochs, tta, earlyStop: patience } = settings;
  const steps = trainer.steps(data.train, settings);
  if (steps < FEW_STEPS && !plan.folder) {
    const { accumulate, batchSize } = settings;
    const smaller = accumulate > 1 ? `--accumulate than ${accumulate}` : `--batch-size than ${batchSize}`;
    output.warn(`${counted(steps, "step")} in all: a smaller ${smaller} makes more of them`);
  }
  const earlyStop = patience === undefined ? undefined : { patience };
  const fitting = fit(trainer, data, folder, { epochs, schedule, tta, earlyStop, signal }, output);
  const result = await fitting.catch((error: unknown) => {
    throw error instanceof DivergedError ? explainDiverged(error, plan) : error;
  });
  reportResult(result, folder, plan.raw, settings, rates, output);
  if (result.end.reason === "stopped") return "interrupted";
  if (!plan.report) return "done";
  const written = await report(trainer, data, folder, settings, result.tensorboard, signal, output);
  return written ? "done" : "interrupted";
}

/** A run that is resumed keeps its rate, and its folder is kept for its steps. */
function explainDiverged(error: DivergedError, { folder, out }: Plan): Error {
  if (folder)
    return new Error(`${error.found}: begin another run, with a lower --lr and another --out`, { cause: error });
  if (out === undefined) return error;
  return new Error(`${error.message}; the next run needs another --out (${out} keeps these steps)`, { cause: error });
}

interface Opened {
  readonly folder: RunFolder;
  readonly settings: Settings;
  /** What `--lr auto` found, where it was asked for. */
  readonly rates: LrFinderResult | null;
}

/** The folder of a new run, and its settings with the rate that was found where one was asked for. Null where it was interrupted. */
async function open(
  device: Device,
  plan: Plan,
  run: Run,
  data: Dataset,
  signal: AbortSignal,
  output: Output,
): Promise<Opened | null> {
  const { settings, raw } = plan;
  const { trainer } = run;
  await run.prepare(data.train);
  const out = await makeOutFolder(plan.out, `${settings.model}-${raw.name}`);
  if (plan.findRate === null) {
    return { folder: await createRunFolder(out, configOf(device, plan, data)), settings, rates: null };
  }
  const { result } = await findRate(trainer, data.train, out, { signal, method: plan.findRate }, output);
  if (result.stopped.reason === "interrupted") return null;
  if (settings.optimizer === "sgd" && result.method === "valley") {
    const steepest = (result.suggestions.steepest ?? 0) / result.suggestion;
    const other = steepest > 1 && steepest <= 10 ? "--lr auto:steepest, or a number," : "--lr and a number";
    output.note(`SGD with momentum often bears 3 to 10 times as much: ${other} if it learns slowly`);
  }
  const found = { ...settings, lr: result.suggestion };
  trainer.optimizer.setLr(found.lr);
  const folder = await createRunFolder(out, configOf(device, { ...plan, settings: found }, data));
  return { folder, settings: found, rates: result };
}

function configOf(device: Device, { settings, raw }: Plan, data: Dataset): RunConfig {
  return {
    model: exportInfo(settings, data),
    settings,
    data: recordData(raw),
    ...environment(device),
    versions: versions(),
    started: new Date().toISOString(),
  };
}
