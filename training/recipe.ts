// What is trained and how, in numbers and words: the `settings` of a run's config.json, the same from the command line and from the page.
import type { Stem } from "../nn/index.ts";
import type { RawDataset, Rgb } from "./data/dataset.ts";
import type { Tta } from "./tta.ts";

export const OPTIMIZERS = ["sgd", "adam", "adamw"] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

/** How activations are stored while training. */
export const PRECISIONS = ["f32", "mixed"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** How weights move. */
export interface Recipe {
  readonly optimizer: OptimizerName;
  /** Above 0; the schedule's highest. */
  readonly lr: number;
  /** SGD's momentum, Adam's beta1: 0..1, 1 excluded. */
  readonly momentum: number;
  readonly weightDecay: number;
  /** As `parseSchedule` reads it. */
  readonly schedule: string;
}

/** All that decides a run's bits, every default resolved. Names and meanings are those of the flags of `train.js`. */
export interface RunSettings extends Recipe {
  /** "shapes", "cifar10", "cifar100", or where the images lie. */
  readonly data: string;
  readonly model: string;
  readonly stem: Stem;
  /** Height and width of the images in pixels. */
  readonly imageSize: number;
  /** The share of the images that trains, where a folder without a test part is split. */
  readonly split?: number;
  readonly classes: number;
  readonly mean: Rgb;
  readonly std: Rgb;
  readonly epochs: number;
  readonly batchSize: number;
  readonly nesterov: boolean;
  readonly labelSmoothing: number;
  /** As `parseAugment` reads it. */
  readonly augment: string;
  readonly mixup?: number;
  readonly cutmix?: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly clipGrad?: number;
  readonly accumulate: number;
  readonly ema?: number;
  readonly tta: Tta;
  readonly earlyStop?: number;
  readonly seed: number;
  readonly precision: Precision;
  /** Train the last layer only. */
  readonly freeze: boolean;
  readonly preset?: string;
}

const RATES: Readonly<Record<OptimizerName, number>> = { sgd: 0.1, adam: 1e-3, adamw: 1e-3 };
const DECAYS: Readonly<Record<OptimizerName, number>> = { sgd: 5e-4, adam: 0, adamw: 1e-2 };

/** What is left out gets its default, which may depend on what is given. A momentum that is given stays where it is. */
export function chooseRecipe(
  given: Pick<Recipe, "optimizer"> & { [Key in keyof Recipe]?: Recipe[Key] | undefined },
): Recipe {
  const { optimizer, lr, momentum, weightDecay, schedule } = given;
  return {
    optimizer,
    lr: lr ?? RATES[optimizer],
    momentum: momentum ?? 0.9,
    weightDecay: weightDecay ?? DECAYS[optimizer],
    schedule: schedule ?? (momentum === undefined ? "onecycle" : "onecycle:cycle_momentum=false"),
  };
}

/** Moves and mirrors suit photographs of things. The built-in set is drawn in every position and needs none. */
export function defaultAugment({ name, train }: RawDataset): string {
  if (name === "shapes") return "none";
  return `pad-crop:${Math.max(1, Math.round(train.height / 8))},flip`;
}
