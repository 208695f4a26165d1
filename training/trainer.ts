// The Trainer: what one step of training is. training/fit.ts makes a run of steps.
import { permutation, scope, type Tensor } from "../engine/index.ts";
import { Dropout, type Module } from "../nn/index.ts";
import type { AugmentStep } from "./augment-grammar.ts";
import type { DeviceDataset } from "./data/device-dataset.ts";
import { checkClasses } from "./evaluate.ts";
import { START, type Position, type TrainEvent } from "./events.ts";
import { fitEvents, type FitOptions } from "./fit.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import type { Optimizer } from "./optimizers/index.ts";
import type { Rates } from "./schedules.ts";

export interface TrainerOptions {
  readonly model: Module;
  readonly optimizer: Optimizer;
  /** Default `crossEntropy()`. */
  readonly loss?: Loss | undefined;
  /** Draws the order of the images and the augmentation; u32, default 0. Weights come from the model's own seed. */
  readonly seed?: number | undefined;
  /** Images a step; default 128. */
  readonly batchSize?: number | undefined;
  /** What happens to each training image, in this order; default nothing. `parseAugment` reads it from a line of text. */
  readonly augment?: readonly AugmentStep[] | undefined;
  /** Another order in every epoch; default true. */
  readonly shuffle?: boolean | undefined;
  /** Leave out the last batch of an epoch where it is not full; default false. */
  readonly dropLast?: boolean | undefined;
  /** Scale the gradients down to this 2-norm over all parameters where theirs is larger; default no clipping. */
  readonly clipGrad?: number | undefined;
}

/** What a step leaves: it belongs to the scope around. */
export interface StepOutput {
  /** The batch's mean loss, a scalar. */
  readonly loss: Tensor;
  /** [N, classes] */
  readonly logits: Tensor;
  /** u32 [N] */
  readonly labels: Tensor;
}

type Counted = { readonly count: number };

/**
 * Trains a model. Every step is a pure function of the weights, the optimizer's state and (seed, epoch, step): equal runs give equal
 * bits, also across an interruption.
 */
export class Trainer {
  readonly model: Module;
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  readonly seed: number;
  readonly batchSize: number;
  readonly augment: readonly AugmentStep[];
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly clipGrad: number | null;
  /** Where the last `fit()` stands: right while it is suspended in an "epoch" or "end" event, and after it has returned. */
  position: Position = START;

  constructor(options: TrainerOptions) {
    const { model, optimizer, seed = 0, batchSize = 128 } = options;
    whole("batchSize", batchSize, 1);
    whole("seed", seed, 0);
    const { clipGrad = null } = options;
    if (clipGrad !== null && !(clipGrad > 0)) throw new Error(`Trainer: clipGrad must be above 0, got ${clipGrad}`);
    this.model = model;
    this.optimizer = optimizer;
    this.loss = options.loss ?? crossEntropy();
    this.seed = seed;
    this.batchSize = batchSize;
    this.augment = options.augment ?? [];
    this.shuffle = options.shuffle ?? true;
    this.dropLast = options.dropLast ?? false;
    this.clipGrad = clipGrad;
  }

  /** Steps of an epoch over `train`: the last batch, which may not be full, counts unless `dropLast`. */
  stepsPerEpoch({ count }: Counted): number {
    const steps = this.dropLast ? Math.floor(count / this.batchSize) : Math.ceil(count / this.batchSize);
    if (steps > 0) return steps;
    throw new Error(
      `Trainer: ${count} images make no full batch of ${this.batchSize} and dropLast leaves out the rest; lower the batch size`,
    );
  }

  /** Steps of a whole run. */
  steps(train: Counted, { epochs }: { readonly epochs: number }): number {
    whole("epochs", epochs, 1);
    return epochs * this.stepsPerEpoch(train);
  }

  /** The order of the images in `epoch` (from 1). */
  order({ count }: Counted, epoch: number): Uint32Array {
    return this.shuffle ? permutation(count, this.seed, epoch) : Uint32Array.from({ length: count }, (_, i) => i);
  }

  /**
   * One step: forward, backward, update. Waits for nothing. Call it in a `scope()`.
   *
   * @param indices the batch's images
   * @param at epoch (from 1) and step of the run (from 0): with the seed they decide everything that is random
   * @param rates set before the update; null keeps the optimizer's own
   */
  step(
    train: DeviceDataset,
    indices: Uint32Array,
    at: { readonly epoch: number; readonly step: number },
    rates: Rates | null,
  ): StepOutput {
    const { model, optimizer } = this;
    if (rates) optimizer.setLr(rates.lr);
    if (rates?.momentum !== undefined) optimizer.setMomentum(rates.momentum);
    return scope(() => {
      for (const module of model.modules()) if (module instanceof Dropout) module.step = at.step;
      if (!model.training) model.train();
      const { images, labels } = train.batch(indices, { augment: this.augment, seed: this.seed, epoch: at.epoch });
      const logits = model.forward(images);
      checkClasses("Trainer", logits, train);
      const loss = this.loss(logits, labels);
      optimizer.zeroGrad();
      loss.backward();
      if (this.clipGrad !== null) optimizer.clipGradNorm(this.clipGrad);
      optimizer.step();
      return { loss, logits, labels };
    });
  }

  /**
   * Trains for `epochs` epochs in all and evaluates after each: one stream of events, in order. Leaving the loop stops cleanly after
   * the step under way, as aborting `signal` does; `position` then says where to continue.
   *
   * @throws DivergedError where a loss is not finite
   */
  fit(train: DeviceDataset, options: FitOptions): AsyncGenerator<TrainEvent, void, undefined> {
    return fitEvents(this, train, options);
  }
}

function whole(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value < 2 ** 32) return;
  throw new Error(`Trainer: ${name} must be a whole number of at least ${least}, got ${value}`);
}
