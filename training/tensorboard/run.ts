// A run of training as TensorBoard shows it. The x axis of everything is the step: figures of an epoch stand at its last one.
import type { Module } from "../../nn/index.ts";
import type { EpochReport, Position, TrainEvent } from "../events.ts";
import type { Resume, TensorBoardWriter } from "./writer.ts";

const STEP_TAGS = { loss: "step/loss", lr: "step/lr", momentum: "step/momentum" } as const;
const PER_STEP = /^step\//;
const PER_EPOCH = /^(loss|accuracy|epoch|weights)\//;
/** Written anew at the end. */
const REPORT = /^report\//;

/** Writes the figures of "step" and "epoch" events; others are ignored. Epochs are flushed. */
export async function recordRun(writer: TensorBoardWriter, event: TrainEvent): Promise<void> {
  if (event.type === "step") {
    const { step, loss, lr, momentum } = event;
    writer.scalars({ [STEP_TAGS.loss]: loss, [STEP_TAGS.lr]: lr, [STEP_TAGS.momentum]: momentum }, step);
    if (writer.full) await writer.flush();
  } else if (event.type === "epoch") {
    writer.scalars(epochFigures(event.report), lastStep(event.position));
    await writer.flush();
  }
}

/** Writes a histogram of every parameter, under `weights/` and its name, at the last step of `position`. */
export async function recordWeights(writer: TensorBoardWriter, model: Module, position: Position): Promise<void> {
  const parameters = model.namedParameters();
  const values = await Promise.all(parameters.map(([, parameter]) => parameter.data()));
  parameters.forEach(([name], i) => writer.histogram(`weights/${name}`, values[i], lastStep(position)));
  await writer.flush();
}

/** What `TensorBoardWriter.open` needs to continue a run that stands at `position`. */
export function resumeAt({ step: done, running }: Position): Resume {
  // Of an epoch that is not closed nothing may stay but its steps, even where all of those are done.
  const closed = done - running.steps;
  const keeps = (step: number, tag: string): boolean => {
    if (PER_STEP.test(tag)) return step < done;
    if (REPORT.test(tag)) return false;
    // What else stands at step 0 was written once, when the run began.
    return step < closed || (step === 0 && !PER_EPOCH.test(tag));
  };
  return { step: done, keeps };
}

const lastStep = ({ step }: Position): number => Math.max(0, step - 1);

function epochFigures(report: EpochReport): Record<string, number> {
  const { epoch, trainLoss, trainAccuracy, testLoss, testAccuracy, imagesPerSecond } = report;
  const { validationLoss, validationAccuracy } = report;
  const figures = {
    "loss/train": trainLoss,
    "loss/test": testLoss,
    "loss/validation": validationLoss,
    "accuracy/train": trainAccuracy,
    "accuracy/test": testAccuracy,
    "accuracy/validation": validationAccuracy,
    "epoch/number": epoch,
    "epoch/images per second": imagesPerSecond,
  };
  return Object.fromEntries(Object.entries(figures).filter((entry): entry is [string, number] => entry[1] != null));
}
