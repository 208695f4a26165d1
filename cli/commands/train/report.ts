// The report at the end of a run.
import {
  writeReport,
  type Dataset,
  type RunFolder,
  type TensorBoardWriter,
  type Trainer,
} from "../../../training/index.ts";
import type { Output } from "../shared/output.ts";
import { PlainProgress } from "../shared/progress.ts";
import { quote } from "./result.ts";
import type { Settings } from "./settings.ts";
import { addPictures } from "./tensorboard.ts";

/**
 * Writes report.html and its pictures, and gives these to TensorBoard. The run is saved by now: what goes wrong here is a warning, with
 * how to try again. False where it was interrupted.
 */
export async function report(
  trainer: Trainer,
  data: Dataset,
  folder: RunFolder,
  { tta, batchSize, epochs }: Settings,
  tensorboard: TensorBoardWriter,
  signal: AbortSignal,
  output: Output,
): Promise<boolean> {
  const progress = new PlainProgress(output);
  const onProgress = (what: string): void => progress.update(`report: ${what}`);
  const weights = `of the last epoch (${trainer.position.epoch} of ${Math.ceil(epochs)})`;
  try {
    const names = await trainer.withAverage(() =>
      writeReport({ dir: folder.dir, model: trainer.model, data, weights, tta, batchSize, signal, onProgress }),
    );
    await addPictures(tensorboard, folder.dir, names, Math.max(0, trainer.position.step - 1));
    output.result(`report in ${folder.dir}/report.html`);
    return true;
  } catch (error) {
    const reason = signal.aborted ? "it was interrupted" : error instanceof Error ? error.message : String(error);
    output.warn(`no report was written (${reason}); train.js --resume ${quote(folder.dir)} writes it`);
    return !signal.aborted;
  }
}
