// What happens during training, as one stream, and where a run stands.
import type { EarlyStopState } from "./monitors.ts";

/** Sums over the steps of an epoch that is not finished. `loss` is the sum of the samples' losses. */
export interface RunningSums {
  readonly steps: number;
  readonly samples: number;
  readonly loss: number;
  readonly correct: number;
}

/** Where a run stands: what `fit({ startFrom })` continues from. */
export interface Position {
  /** Steps done since the start of the run. */
  readonly step: number;
  /** Epochs finished, their evaluation included. */
  readonly epoch: number;
  /** Of the epoch after these. */
  readonly running: RunningSums;
  /** What a plateau schedule has seen by the end of the last epoch. */
  readonly schedule?: Readonly<Record<string, number>>;
  readonly earlyStop?: EarlyStopState;
}

export const EMPTY_SUMS: RunningSums = { steps: 0, samples: 0, loss: 0, correct: 0 };
export const START: Position = { step: 0, epoch: 0, running: EMPTY_SUMS };

/** Returns the position, or throws one line where a run of such epochs cannot stand there. */
export function checkPosition(position: Position, stepsPerEpoch: number, steps: number): Position {
  const { step, epoch, running } = position;
  // The last epoch may be a part of one.
  const finished = Math.min(epoch * stepsPerEpoch, steps);
  if (step !== finished + running.steps || running.steps > stepsPerEpoch) {
    throw new Error(
      `fit: step ${step} in epoch ${epoch + 1} does not fit epochs of ${stepsPerEpoch} steps; ` +
        "continue with the images and the batch size that the run began with",
    );
  }
  if (step > steps) throw new Error(`fit: ${step} steps are done already, ${steps} were asked for; raise the epochs`);
  return position;
}

/** One line of metrics.jsonl. Accuracies are 0..1. */
export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** The rate at the epoch's first step. */
  readonly lr: number;
  /** Running figures of the epoch, on augmented images in training mode: the mean of the samples' losses as trained on. */
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  /** Plain cross-entropy and accuracy over the whole test set; null where `fit` got none. */
  readonly testLoss: number | null;
  readonly testAccuracy: number | null;
  /** The same of the images held out for choosing the best epoch, where there are such. */
  readonly validationLoss?: number;
  readonly validationAccuracy?: number;
  /** In mixed precision: steps of the run so far that changed nothing because gradients overflowed. */
  readonly skippedSteps?: number;
  /** Training and evaluation; after a resume within the epoch, since the resume. */
  readonly seconds: number;
  /** While training. */
  readonly imagesPerSecond: number;
}

export interface StartEvent {
  readonly type: "start";
  /** Steps and epochs of the whole run; the last epoch may be a part of one. */
  readonly steps: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly position: Position;
}

/** Every step, in order, but late: losses stay on the GPU and are read many at a time. One line of steps.jsonl. */
export interface StepEvent {
  readonly type: "step";
  /** From 0. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
  readonly lr: number;
  /** SGD's momentum, Adam's beta1. */
  readonly momentum: number;
  /** The batch's mean loss, before the update. */
  readonly loss: number;
}

/** About twice a second. */
export interface ProgressEvent {
  readonly type: "progress";
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly imagesPerSecond: number;
  /** Means of the epoch so far. */
  readonly loss: number;
  readonly accuracy: number;
  /** An estimate for the whole run, evaluation included. */
  readonly secondsLeft: number;
}

/** About twice a second while an epoch is evaluated. */
export interface EvaluatingEvent {
  readonly type: "evaluating";
  readonly epoch: number;
  /** Images done, of `count`. */
  readonly done: number;
  readonly count: number;
}

/** A moment for saving, as often as `saveEvery` says: every step up to `position` is done and reported. */
export interface SaveEvent {
  readonly type: "save";
  readonly position: Position;
}

export interface EpochEvent {
  readonly type: "epoch";
  readonly report: EpochReport;
  readonly position: Position;
}

export interface EndEvent {
  readonly type: "end";
  /** All epochs are done, the signal was aborted, or nothing got better any more. */
  readonly reason: "done" | "stopped" | "early-stop";
  readonly position: Position;
}

export type TrainEvent = StartEvent | StepEvent | ProgressEvent | EvaluatingEvent | SaveEvent | EpochEvent | EndEvent;

/** The loss was NaN or infinite: the weights are lost. */
export class DivergedError extends Error {
  override name = "DivergedError";
  readonly step: number;
  /** The message without its advice. */
  readonly found: string;

  constructor({ step, lr, loss }: { step: number; lr: number; loss: number }) {
    const what = Number.isNaN(loss) ? "NaN" : "infinite";
    // The first loss is of the weights as they were given.
    const advice = step === 0 ? "the weights or the images are not finite, or far too large" : "lower --lr";
    const found = `loss is ${what} at step ${step} (lr ${showRate(lr)})`;
    super(`${found}: ${advice}`);
    this.step = step;
    this.found = found;
  }
}

const showRate = (lr: number): string => (Number.isInteger(lr) ? lr.toFixed(1) : String(Number(lr.toPrecision(4))));
