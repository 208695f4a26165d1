// From settings to objects: model, optimizer, trainer and schedule.
import type { Tensor } from "../engine/index.ts";
import { createModel, initFrom, type Checkpoint, type Classifier, type ExportInfo } from "../nn/index.ts";
import { parseAugment } from "./augment-grammar.ts";
import type { Dataset, DatasetInfo, DeviceDataset } from "./data/device-dataset.ts";
import type { RawDataset } from "./data/dataset.ts";
import { crossEntropy } from "./losses.ts";
import { checkMonitors } from "./monitors.ts";
import { Adam, AdamW, SGD, type Optimizer, type ParameterGroup } from "./optimizers/index.ts";
import { preset } from "./presets/index.ts";
import type { Recipe, RunSettings } from "./recipe.ts";
import { parseSchedule, type ScheduleMaker } from "./schedule-grammar.ts";
import { ratesAt, type AnySchedule } from "./schedules/index.ts";
import { stepsOf, stepsPerEpoch } from "./step-count.ts";
import { Trainer } from "./trainer.ts";

/** The objects of a run. Disposing of it frees them all. */
export interface Run extends Disposable {
  readonly model: Classifier;
  readonly trainer: Trainer;
  /** What `init` gave, in words. */
  readonly started: string | null;
  /** What the preset does to fresh weights before the first step of all, with the training images. A continued run has it in its weights. */
  prepare(train: DeviceDataset): Promise<void>;
}

/**
 * @param init weights to start from, with the file's name
 * @throws Error of one line where a name or a number makes no sense
 */
export function buildRun(settings: RunSettings, init: { checkpoint: Checkpoint; path: string } | null = null): Run {
  const { model: name, classes, stem, seed, batchSize, labelSmoothing, shuffle, dropLast, augment } = settings;
  const { accumulate, mixup, cutmix, ema, precision, clipGrad } = settings;
  const hooks = settings.preset === undefined ? undefined : preset(settings.preset).hooks;
  const model = createModel(name, { classes, stem, seed });
  const started = init && initFrom(model, init.checkpoint.tensors, { origin: init.path }).message;
  if (settings.freeze) freezeTrunk(model);
  const optimizer = makeOptimizer(hooks?.groups(model, settings) ?? model.parameters(), settings);
  const trainer = new Trainer({
    model,
    optimizer,
    loss: crossEntropy({ labelSmoothing }),
    seed,
    batchSize,
    precision,
    shuffle,
    dropLast,
    clipGrad,
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
  const prepare = async (train: DeviceDataset): Promise<void> => {
    if (init === null) await hooks?.prepare(model, train);
  };
  return { model, trainer, started, prepare, [Symbol.dispose]: dispose };
}

/**
 * The schedule, tried out on a short run, so that parameters that do not go together are found early.
 *
 * @throws Error of one line that names the parameter
 */
export function makeSchedule({ schedule, lr, momentum, optimizer }: Recipe): ScheduleMaker {
  const make = parseSchedule(schedule);
  const trial = { lr, epochs: 100, stepsPerEpoch: 100 };
  ratesAt(make(trial), 0);
  if (optimizer !== "sgd" || momentum !== 0) return make;
  // Of what begins with a part, step 0 is that part's; alone it could have a `for` with nothing after it.
  const moving = schedule
    .split("+")
    .find((_, i, all) => ratesAt(parseSchedule(all.slice(i).join("+"))(trial), 0).momentum !== undefined);
  if (moving === undefined) return make;
  const name = moving.split(":")[0].trim();
  throw new Error(`${name} moves the momentum, and a momentum of 0 has none: add cycle_momentum=false`);
}

/** Whether the recipe's rate changes any step's. A schedule may give rates of its own. */
export function usesRate({ schedule, lr }: Recipe): boolean {
  const make = parseSchedule(schedule);
  // Far longer than runs are, and looked at more and more coarsely: any part of it may be the one that takes the rate.
  const trial = { epochs: 1e5, stepsPerEpoch: 100 };
  const [one, other] = [lr, 2 * lr].map((rate) => make({ ...trial, lr: rate }));
  try {
    for (let step = 0; step < 1e7; step += 1 + Math.floor(step / 200)) {
      if (ratesAt(one, step).lr !== ratesAt(other, step).lr) return true;
    }
  } catch {
    // It has ended.
  }
  return false;
}

/**
 * The schedule of the whole run.
 *
 * @throws Error of one line where it is shorter than the run, or watches what there are no images for: now, not after hours
 */
export function buildSchedule(settings: RunSettings, { train, test, validation }: Dataset | RawDataset): AnySchedule {
  const { lr, momentum, epochs } = settings;
  const perEpoch = stepsPerEpoch(train.count, settings);
  const steps = stepsOf(epochs, perEpoch);
  const schedule = makeSchedule(settings)({
    lr,
    momentum,
    epochs: steps / perEpoch,
    stepsPerEpoch: perEpoch,
    heldOut: validation !== undefined,
  });
  ratesAt(schedule, steps);
  checkMonitors("plateau", { schedule, validation: test, heldOut: validation });
  return schedule;
}

/** All but the last layer stays as it is: weights, and batch norm's statistics too, which it then normalises by as in evaluation. */
function freezeTrunk(model: Classifier): void {
  model.train();
  const last = new Set<unknown>(model.fc.parameters());
  for (const parameter of model.parameters()) parameter.requiresGrad = last.has(parameter);
  for (const module of model.modules()) module.training = module === model || module === model.fc;
}

function makeOptimizer(parameters: readonly Tensor[] | readonly ParameterGroup[], settings: RunSettings): Optimizer {
  const { optimizer, lr, momentum, nesterov, weightDecay } = settings;
  if (optimizer === "sgd") return new SGD(parameters, { lr, momentum, nesterov, weightDecay });
  const Kind = optimizer === "adam" ? Adam : AdamW;
  return new Kind(parameters, { lr, betas: [momentum, 0.999], weightDecay });
}

/** What the weight files say about themselves. */
export function exportInfo(settings: RunSettings, data: DatasetInfo): ExportInfo {
  const { model: name, stem, classes, imageSize, split } = settings;
  const { mean, std } = data;
  // With more outputs than classes there are no names for the others.
  const named = classes === data.classes.length ? { classNames: data.classes } : {};
  return { name, stem, classes, imageSize, mean, std, ...named, ...(split !== undefined && { split }) };
}

/** What config.json says of the images, so that a continued run can tell whether they are the same. */
export interface DataRecord {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: number;
  readonly test: number;
  readonly validation: number;
  readonly skipped: number;
}

/** How images differ from those that were recorded, in words; null where they do not. A folder may have another name by now. */
export function dataChange(raw: RawDataset, began: DataRecord): string | null {
  const now = recordData(raw);
  const changed = (["train", "test", "validation"] as const).find((key) => now[key] !== began[key]);
  if (changed) return `${now[changed]} ${changed} images, the run began with ${began[changed]}`;
  const same = JSON.stringify(now.classes) === JSON.stringify(began.classes);
  return same ? null : "its classes are not those that the run began with";
}

export function recordData({ name, classes, train, test, validation }: RawDataset): DataRecord {
  const skipped = train.skipped + test.skipped + (validation?.skipped ?? 0);
  return { name, classes, train: train.count, test: test.count, validation: validation?.count ?? 0, skipped };
}
