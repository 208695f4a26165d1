// The objects of a run: model, optimizer, trainer, schedule.
import { createModel, initFrom, type Checkpoint, type ExportInfo, type ResNet } from "../../../nn/index.ts";
import {
  Adam,
  AdamW,
  crossEntropy,
  parseAugment,
  SGD,
  Trainer,
  type Dataset,
  type Optimizer,
  type Schedule,
} from "../../../training/index.ts";
import { usage } from "../shared/errors.ts";
import type { Output } from "../shared/output.ts";
import { makeSchedule, type Settings } from "./settings.ts";

export interface Run extends Disposable {
  readonly model: ResNet;
  readonly trainer: Trainer;
  readonly schedule: Schedule;
}

/** @param init weights to start from, with the file's name */
export function buildRun(
  settings: Settings,
  data: Dataset,
  init: { checkpoint: Checkpoint; path: string } | null,
  output: Output,
): Run {
  const { model: name, classes, stem, seed, batchSize, epochs, labelSmoothing, shuffle, dropLast, augment } = settings;
  const model = createModel(name, { classes, stem, seed });
  if (init) output.note(initFrom(model, init.checkpoint.tensors, { origin: init.path }).message);
  if (settings.freeze) freezeTrunk(model);
  const optimizer = makeOptimizer(model, settings);
  const loss = crossEntropy({ labelSmoothing });
  const trainer = new Trainer({
    model,
    optimizer,
    loss,
    seed,
    batchSize,
    shuffle,
    dropLast,
    clipGrad: settings.clipGrad,
    augment: parseAugment(augment),
  });
  const steps = trainer.steps(data.train, { epochs });
  const { lr, momentum } = settings;
  const make = makeSchedule(settings);
  const schedule = usage(() => make({ lr, momentum, epochs, stepsPerEpoch: steps / epochs }), "--schedule");
  // A schedule that is shorter than the run says so now, not after hours.
  usage(() => schedule(steps), "--schedule");
  const dispose = (): void => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, trainer, schedule, [Symbol.dispose]: dispose };
}

/** All but the last layer stays as it is: weights, and batch norm's statistics too, which it then normalises by as in evaluation. */
function freezeTrunk(model: ResNet): void {
  model.train();
  const last = new Set<unknown>(model.fc.parameters());
  for (const parameter of model.parameters()) parameter.requiresGrad = last.has(parameter);
  for (const module of model.modules()) module.training = module === model || module === model.fc;
}

function makeOptimizer(model: ResNet, settings: Settings): Optimizer {
  const { optimizer, lr, momentum, nesterov, weightDecay } = settings;
  const parameters = model.parameters();
  if (optimizer === "sgd") return new SGD(parameters, { lr, momentum, nesterov, weightDecay });
  const Kind = optimizer === "adam" ? Adam : AdamW;
  return new Kind(parameters, { lr, betas: [momentum, 0.999], weightDecay });
}

/** What the weight files say about themselves. */
export function exportInfo(settings: Settings, data: Dataset): ExportInfo {
  const { model: name, stem, classes, imageSize } = settings;
  const { mean, std } = data;
  // With more outputs than classes there are no names for the others.
  const named = classes === data.classes.length ? { classNames: data.classes } : {};
  return { name, stem, classes, imageSize, mean, std, ...named };
}
