// node cli/find-lr.js: the learning-rate range test.
import type { Command } from "commander";
import { readCheckpoint } from "../../nn/index.ts";
import { buildRun, toDevice } from "../../training/index.ts";
import { lrFinderSettings, type LrFinderOptions } from "../../training/lr-finder/index.ts";
import { findLrCommand, type FindLrFlags } from "./find-lr/flags.ts";
import { describeData, loadCommandData, sizeIsFixed } from "./shared/data-flags.ts";
import { describeDevice, openCommandDevice } from "./shared/device-flags.ts";
import { STATUS, UsageError } from "./shared/errors.ts";
import { findRate } from "./shared/find-rate.ts";
import { Interrupt } from "./shared/interrupt.ts";
import { Output } from "./shared/output.ts";
import { checkOutFolder, makeOutFolder, readInput } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";
import { applyRecipes } from "./train/config-file.ts";
import { checkFlags, chooseModel, describeInit, resolve } from "./train/settings.ts";
import { refuseTooLarge } from "./train/too-large.ts";
import { tuneKernels } from "./train/tune.ts";

export function main(args: readonly string[]): Promise<never> {
  const command = findLrCommand();
  command.action(() => findLr(command));
  return runCommand(command, args);
}

async function findLr(command: Command): Promise<void> {
  const flags = allFlags(command);
  const output = new Output(flags.json);
  const { init: path } = flags;
  using interrupt = new Interrupt(() => output.note("\nstopping; once more to stop at once"));
  checkFlags(flags);
  checkRange(flags);
  checkOutFolder(flags.out);
  const init = path === undefined ? null : { checkpoint: readCheckpoint(await readInput(path, "--init"), path), path };
  const choice = chooseModel(flags, init && describeInit(init.path, init.checkpoint));
  const imageSize = (await sizeIsFixed(flags.data)) ? flags.imageSize : choice.imageSize;
  const raw = await loadCommandData(flags, output, { validation: flags.validation, limit: flags.limit, imageSize });
  const settings = resolve(flags, choice, raw);
  output.note(`data    ${describeData(raw)}`);
  const out = await makeOutFolder(flags.out, "find-lr");
  using device = await openCommandDevice(flags);
  output.note(`device  ${describeDevice(device)}`);
  using data = toDevice(raw);
  using run = buildRun(settings, init);
  if (run.started !== null) output.note(run.started);
  output.note(`model   ${settings.model}, ${settings.optimizer}, batches of ${settings.batchSize}`);
  const validation = flags.loss === "validation" ? (data.validation ?? data.test) : undefined;
  if (validation && !data.validation) output.note("loss    of the test images: --validation 0.1 would hold out others");
  const { signal } = interrupt;
  await refuseTooLarge(device, run.trainer, data.train);
  if (settings.tune === "on") await tuneKernels(device, run.trainer, data.train, signal, output);
  await run.prepare(data.train);
  const { result, files } = await findRate(
    run.trainer,
    data.train,
    out,
    { ...rangeOf(flags), validation, signal },
    output,
  );
  output.document({ ...result, out });
  output.note(`written into ${out}: ${files.join(", ")}`);
  if (result.stopped.reason === "interrupted") process.exitCode = STATUS.interrupted;
}

function allFlags(command: Command): FindLrFlags {
  applyRecipes(command);
  return command.opts<FindLrFlags>();
}

const rangeOf = ({
  startLr,
  endLr,
  iterations,
  mode,
  smooth,
  debias,
  diverge,
  method,
}: FindLrFlags): LrFinderOptions => ({
  startLr,
  endLr,
  iterations,
  mode,
  smooth,
  debias,
  diverge,
  method,
});

/** In the words of the command line. */
function checkRange(flags: FindLrFlags): void {
  try {
    lrFinderSettings(rangeOf(flags));
  } catch (cause) {
    const text = (cause as Error).message.replace(/^findLearningRate: /, "");
    throw new UsageError(text.replace(/\b(startLr|endLr|iterations|diverge)\b/g, flagOf), { cause });
  }
}

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
