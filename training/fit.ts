// A run of training: steps, epochs, evaluations, as one stream of events.
import type { DeviceDataset } from "./data/device-dataset.ts";
import { checkPosition, START, type Position, type TrainEvent } from "./events.ts";
import { FitRun } from "./fit-run.ts";
import type { EarlyStopOptions } from "./monitors.ts";
import type { AnySchedule } from "./schedules/index.ts";
import type { Trainer } from "./trainer.ts";
import type { Tta } from "./tta.ts";

export interface FitOptions {
  /** Epochs of the whole run, those before `startFrom` included. A fraction ends within its last epoch: that one is reported too. */
  readonly epochs: number;
  /** Rate (and momentum) of each step of the run; default the optimizer's own. A plateau schedule is fed after each epoch. */
  readonly schedule?: AnySchedule | undefined;
  /** Evaluated after every epoch: the report's test figures. */
  readonly validation?: DeviceDataset | undefined;
  /** Images held out for choosing the best epoch, where there are such: the report's validation figures. */
  readonly heldOut?: DeviceDataset | undefined;
  /** Views of each image when it is tested, averaged; default "none": the image alone. */
  readonly tta?: Tta | undefined;
  /** End the run where nothing gets better; default never. */
  readonly earlyStop?: EarlyStopOptions | undefined;
  /** Continue here; the trainer must have the weights and the optimizer state of that moment. Default the start. */
  readonly startFrom?: Position | undefined;
  /** Seconds of training after which a "save" event comes, within an epoch too; default never. */
  readonly saveEvery?: number | undefined;
  /** Aborting it ends the run after the step under way. */
  readonly signal?: AbortSignal | undefined;
}

export async function* fitEvents(
  trainer: Trainer,
  train: DeviceDataset,
  options: FitOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const steps = trainer.steps(train, options);
  const stepsPerEpoch = trainer.stepsPerEpoch(train);
  trainer.position = checkPosition(options.startFrom ?? START, stepsPerEpoch, steps);
  const epochs = Math.ceil(steps / stepsPerEpoch);
  yield { type: "start", steps, epochs, stepsPerEpoch, position: trainer.position };
  const run = new FitRun(trainer, train, options, { steps, stepsPerEpoch });
  let failed = false;
  try {
    await run.compile();
    while (trainer.position.epoch < epochs) {
      if (run.monitors.stopped) {
        yield { type: "end", reason: "early-stop", position: trainer.position };
        return;
      }
      const finished = (yield* run.trainEpoch()) && (yield* run.evaluateEpoch());
      if (!finished) {
        yield { type: "end", reason: "stopped", position: trainer.position };
        return;
      }
    }
    yield { type: "end", reason: "done", position: trainer.position };
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    // After a failure closing meets its consequences, which must not hide it.
    await run.close().catch((error: unknown) => {
      if (!failed) throw error;
    });
  }
}
