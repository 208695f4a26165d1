// A range test as people see it: for find-lr.js, and for train.js with `--lr auto`.
import {
  findLearningRate,
  LR_MEANINGS,
  LR_METHODS,
  RangeTestError,
  showRate,
  type LrFinderOptions,
  type LrFinderResult,
} from "../../../training/lr-finder/index.ts";
import { saveLrFinder } from "../../../training/lr-finder/save.ts";
import type { DeviceDataset, Trainer } from "../../../training/index.ts";
import type { Output } from "./output.ts";
import { Progress } from "./progress.ts";

export interface FoundRate {
  readonly result: LrFinderResult;
  /** Names of the files written. */
  readonly files: readonly string[];
}

/**
 * Runs a range test with a bar, writes its curve into `dir`, which must exist, and prints what it found. The trainer is afterwards as
 * it was. Where it was interrupted `result.stopped.reason` says so and `result.suggestion` may be NaN.
 *
 * @throws Error of one line where the curve holds no answer; it is written all the same
 */
export async function findRate(
  trainer: Trainer,
  train: DeviceDataset,
  dir: string,
  options: Omit<LrFinderOptions, "onProgress">,
  output: Output,
): Promise<FoundRate> {
  try {
    const result = await test(trainer, train, options, output);
    const files = await saveLrFinder(dir, result);
    for (const line of resultLines(result)) output.result(line);
    // They are of the suggestion.
    if (result.method !== null) for (const warning of result.warnings) output.warn(warning);
    return { result, files };
  } catch (error) {
    if (!(error instanceof RangeTestError)) throw error;
    const files = await saveLrFinder(dir, error.result);
    output.note(`written into ${dir}: ${files.join(", ")}`);
    throw new Error(error.message.replace(/^findLearningRate: /, ""), { cause: error });
  }
}

async function test(
  trainer: Trainer,
  train: DeviceDataset,
  options: LrFinderOptions,
  output: Output,
): Promise<LrFinderResult> {
  const progress = new Progress(output);
  try {
    return await findLearningRate(trainer, train, {
      ...options,
      onProgress: ({ done, iterations, lr, loss, smoothed }) =>
        progress.show({
          title: "range test",
          done,
          total: iterations,
          text: `lr ${showRate(lr)}, loss ${loss.toFixed(4)}, smoothed ${smoothed.toFixed(4)}`,
        }),
    });
  } finally {
    progress.hide();
  }
}

function resultLines({ stopped, suggestions, suggestion, method }: LrFinderResult): string[] {
  const rows = LR_METHODS.map((name) => {
    const lr = suggestions[name];
    const shown = lr === null ? "no answer" : showRate(lr);
    return `${name === method ? "*" : " "} ${name.padEnd(9)} ${shown.padEnd(9)}  ${LR_MEANINGS[name]}`;
  });
  const lines = [stopped.message];
  if (method === null) return [...lines, "no suggestion: too little was measured"];
  return [...lines, ...rows, `Suggested LR: ${showRate(suggestion)}`];
}
