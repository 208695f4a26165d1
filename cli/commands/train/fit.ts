// Running a Trainer with everything that a user sees and everything that is saved.
import {
  recordRun,
  recordWeights,
  type TensorBoardWriter,
  type Dataset,
  type EndEvent,
  type EpochReport,
  type FitOptions,
  type ProgressEvent,
  type RunFolder,
  type Trainer,
  type TrainEvent,
} from "../../../training/index.ts";
import { duration, type Output } from "../shared/output.ts";
import { Progress } from "../shared/progress.ts";
import { EpochTable } from "./table.ts";
import { openTensorBoard } from "./tensorboard.ts";

export interface FitResult {
  /** Still open. */
  readonly tensorboard: TensorBoardWriter;
  readonly end: EndEvent;
  readonly reports: readonly EpochReport[];
  readonly seconds: number;
}

/** Of training: what a lost machine costs at most, where epochs are longer. */
const SAVE_EVERY_SECONDS = 300;

/** Trains to the end or until the signal; the state is saved after each epoch, every five minutes and at the end. */
export async function fit(
  trainer: Trainer,
  data: Dataset,
  folder: RunFolder,
  options: Omit<FitOptions, "validation" | "heldOut" | "startFrom">,
  output: Output,
): Promise<FitResult> {
  const { test: validation, validation: heldOut } = data;
  const startFrom = folder.state?.position;
  const events = trainer.fit(data.train, { ...options, validation, heldOut, startFrom, saveEvery: SAVE_EVERY_SECONDS });
  const tensorboard = await openTensorBoard(folder);
  const screen = new Screen(output, Math.ceil(options.epochs), heldOut !== undefined);
  const reports: EpochReport[] = [];
  const start = performance.now();
  let end: EndEvent | undefined;
  try {
    for await (const event of events) {
      await folder.record(event);
      await recordRun(tensorboard, event);
      screen.show(event);
      if (event.type === "epoch") {
        reports.push(event.report);
        await recordWeights(tensorboard, trainer.model, event.position);
      }
      if (event.type === "save" || event.type === "epoch" || event.type === "end")
        await folder.saveState(trainer, event.position);
      if (event.type === "end") end = event;
    }
    await tensorboard.flush();
  } catch (error) {
    // The last steps show how it came to this. That they cannot be written must not hide why it did.
    await Promise.allSettled([folder.flush(), tensorboard.flush()]);
    throw error;
  } finally {
    screen.close();
  }
  return { tensorboard, end: end!, reports, seconds: (performance.now() - start) / 1000 };
}

/** The bar, and the table's rows as the epochs end. */
class Screen {
  readonly #output: Output;
  readonly #epochs: number;
  readonly #table: EpochTable;
  readonly #progress: Progress;
  #stepsPerEpoch = 1;
  #last: ProgressEvent | null = null;
  #headPrinted = false;

  constructor(output: Output, epochs: number, validation: boolean) {
    this.#output = output;
    this.#epochs = epochs;
    this.#table = new EpochTable({ validation });
    this.#progress = new Progress(output);
  }

  show(event: TrainEvent): void {
    if (event.type === "start") this.#stepsPerEpoch = event.stepsPerEpoch;
    else if (event.type === "progress") this.#showStep(event);
    else if (event.type === "evaluating") this.#showEvaluation(event);
    else if (event.type === "epoch") this.#showEpoch(event.report);
  }

  close(): void {
    this.#progress.hide();
  }

  #showStep(event: ProgressEvent): void {
    this.#last = event;
    const { step, epoch, imagesPerSecond, loss, accuracy, secondsLeft } = event;
    this.#progress.show({
      title: `epoch ${epoch}/${this.#epochs}`,
      done: step - (epoch - 1) * this.#stepsPerEpoch,
      total: this.#stepsPerEpoch,
      text:
        `${imagesPerSecond.toFixed(0)} img/s, loss ${loss.toFixed(4)}, accuracy ${(100 * accuracy).toFixed(1)} %, ` +
        `${duration(secondsLeft)} left`,
    });
  }

  #showEvaluation({ epoch, done, count }: { epoch: number; done: number; count: number }): void {
    const trained = this.#last ? `, trained to loss ${this.#last.loss.toFixed(4)}` : "";
    const text = `testing${trained}`;
    this.#progress.show({ title: `epoch ${epoch}/${this.#epochs}`, done, total: count, text });
  }

  #showEpoch(report: EpochReport): void {
    this.#progress.hide();
    if (!this.#headPrinted) this.#output.result(this.#table.head());
    this.#headPrinted = true;
    this.#output.result(this.#table.row(report));
  }
}
