// The objects of a run: model, optimizer, trainer, and its schedule.
import type { Tensor } from "../../../engine/index.ts";
import { createModel, initFrom, type Checkpoint, type ExportInfo, type Classifier } from "../../../nn/index.ts";
import {
  Adam,
  AdamW,
  crossEntropy,
  parseAugment,
  ratesAt,
  SGD,
  Trainer,
  type AnySchedule,
  type Dataset,
  type DeviceDataset,
  type Optimizer,
  type ParameterGroup,
} from "../../../training/index.ts";
import { preset } from "../../../training/presets/index.ts";
import { usage } from "../shared/errors.ts";
import type { Output } from "../shared/output.ts";
import { makeSchedule, type Settings } from "./settings.ts";

export interface Run extends Disposable {
  readonly model: Classifier;
  readonly trainer: Trainer;
}

/** @param init weights to start from, with the file's name */
export function buildRun(
  settings: Settings,
  init: { checkpoint: Checkpoint; path: string } | null,
  output: Output,
): Run {
  const { model: name, classes, stem, seed, batchSize, labelSmoothing, shuffle, dropLast, augment } = settings;
  const { accumulate, mixup, cutmix, ema } = settings;
  const hooks = settings.preset === undefined ? undefined : preset(settings.preset).hooks;
  const model = createModel(name, { classes, stem, seed });
  if (init) output.note(initFrom(model, init.checkpoint.tensors, { origin: init.path }).message);
  if (settings.freeze) freezeTrunk(model);
  const optimizer = makeOptimizer(hooks?.groups(model, settings) ?? model.parameters(), settings);
  const loss = crossEntropy({ labelSmoothing });
  const trainer = new Trainer({
    model,
    optimizer,
    loss,
    seed,
    batchSize,
    precision: settings.precision,
    shuffle,
    dropLast,
    clipGrad: settings.clipGrad,
    accumulate,
    mixup,
    cutmix,
    augment: parseAugment(augment),
    ...(ema !== undefined && { ema: { decay: ema } }),
    ...hooks?.trainer(model),
  });
  const dispose = (): void => {
    trainer.dispose();
    optimizer.dispose();
    model.dispose();
  };
  return { model, trainer, [Symbol.dispose]: dispose };
}

/** The schedule of the whole run. One that is shorter than it says so now, not after hours. */
export function buildSchedule(settings: Settings, trainer: Trainer, train: DeviceDataset): AnySchedule {
  const { lr, momentum, epochs } = settings;
  const stepsPerEpoch = trainer.stepsPerEpoch(train);
  const steps = trainer.steps(train, { epochs });
  const make = makeSchedule(settings);
  const schedule = usage(() => make({ lr, momentum, epochs: steps / stepsPerEpoch, stepsPerEpoch }), "--schedule");
  usage(() => ratesAt(schedule, steps), "--schedule");
  return schedule;
}

/** All but the last layer stays as it is: weights, and batch norm's statistics too, which it then normalises by as in evaluation. */
function freezeTrunk(model: Classifier): void {
  model.train();
  const last = new Set<unknown>(model.fc.parameters());
  for (const parameter of model.parameters()) parameter.requiresGrad = last.has(parameter);
  for (const module of model.modules()) module.training = module === model || module === model.fc;
}

function makeOptimizer(parameters: readonly Tensor[] | readonly ParameterGroup[], settings: Settings): Optimizer {
  const { optimizer, lr, momentum, nesterov, weightDecay } = settings;
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
