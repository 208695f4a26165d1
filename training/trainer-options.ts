// What a Trainer is made of, and when a step happens.
import type { Module } from "../nn/index.ts";
import type { AugmentStep } from "./augment-grammar.ts";
import type { EmaOptions, LookaheadOptions } from "./averaging.ts";
import type { Loss } from "./losses.ts";
import { MAX_ALPHA } from "./mix.ts";
import type { Optimizer } from "./optimizers/index.ts";
import { PRECISIONS, type Precision } from "./recipe.ts";
import { checkWords } from "./suggest.ts";

export interface TrainerOptions {
  readonly model: Module;
  readonly optimizer: Optimizer;
  /** Default `crossEntropy()`. */
  readonly loss?: Loss | undefined;
  /** Draws the order of the images and the augmentation; u32, default 0. Weights come from the model's own seed. */
  readonly seed?: number | undefined;
  /** Images a batch; default 128. */
  readonly batchSize?: number | undefined;
  /** What happens to each training image, in this order; default nothing. `parseAugment` reads it from a line of text. */
  readonly augment?: readonly AugmentStep[] | undefined;
  /** Another order in every epoch; default true. */
  readonly shuffle?: boolean | undefined;
  /** Leave out the last batch of an epoch where it is not full; default false. */
  readonly dropLast?: boolean | undefined;
  /** Scale the gradients down to this 2-norm over all parameters where theirs is larger; default no clipping. */
  readonly clipGrad?: number | undefined;
  /**
   * Batches whose gradients make one step; default 1. A step then takes `accumulate * batchSize` images and follows the mean of
   * their losses, as one large batch would; only batch norm sees the batches one by one.
   */
  readonly accumulate?: number | undefined;
  /** Blend pairs of images by shares from Beta(mixup, mixup), above 0 and at most 1e6; default no. See training/mix.ts. */
  readonly mixup?: number | undefined;
  /**
   * Paste boxes of other images, the areas from Beta(cutmix, cutmix), above 0 and at most 1e6; default no. With `mixup` one of the two,
   * batch by batch.
   */
  readonly cutmix?: number | undefined;
  /** Test and export a moving average of weights and statistics; default the weights themselves. */
  readonly ema?: EmaOptions | undefined;
  /** Slow weights that pull the trained ones back every few steps; default none. */
  readonly lookahead?: LookaheadOptions | undefined;
  /**
   * "mixed" keeps activations and their gradients as f16, with the loss scaled; weights, statistics and sums stay f32. Half of the memory,
   * and faster where memory is what limits. Evaluation is in f32. Default "f32".
   */
  readonly precision?: Precision | undefined;
  /** Called before each step. It may change what is trained (`requiresGrad`) by `at` alone: a resumed run calls it from there on. */
  readonly beforeStep?: ((at: StepAt) => void) | undefined;
}

/** When a step happens: with the seed it decides everything random. */
export interface StepAt {
  /** From 1. */
  readonly epoch: number;
  /** Of the run, from 0. */
  readonly step: number;
  /** Steps of the whole run; `lookahead` needs it. */
  readonly steps?: number | undefined;
}

/** @throws Error of one line naming the first number that is out of its range, or word that is none of those known */
export function checkOptions(options: TrainerOptions): void {
  for (const [name, least] of [
    ["batchSize", 1],
    ["seed", 0],
    ["accumulate", 1],
  ] as const) {
    const value = options[name];
    if (value === undefined || (Number.isInteger(value) && value >= least && value < 2 ** 32)) continue;
    throw new Error(`Trainer: ${name} must be a whole number of at least ${least}, got ${value}`);
  }
  const { clipGrad } = options;
  if (clipGrad !== undefined && !(clipGrad > 0)) throw new Error(`Trainer: clipGrad must be above 0, got ${clipGrad}`);
  for (const name of ["mixup", "cutmix"] as const) {
    const value = options[name];
    if (value === undefined || (value > 0 && value <= MAX_ALPHA)) continue;
    throw new Error(`Trainer: ${name} must be above 0 and at most ${MAX_ALPHA}, got ${value}`);
  }
  checkWords("Trainer", { precision: options.precision ?? "f32" }, PRECISIONS);
  const augment: unknown = options.augment ?? [];
  // A text, or one in the list, would only fail at the first batch.
  if (!Array.isArray(augment) || augment.some((step) => typeof step !== "object")) {
    const given = JSON.stringify(augment);
    const text = typeof augment === "string" ? given : '"pad-crop:4,flip"';
    throw new Error(`Trainer: augment must be a list of steps, as parseAugment(${text}) reads it, got ${given}`);
  }
}
