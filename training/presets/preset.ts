// What a preset is: a published recipe, in the words of train.js.
import type { ParameterGroup } from "../optimizers/index.ts";
import type { DeviceDataset } from "../data/device-dataset.ts";
import type { Classifier } from "../../nn/index.ts";
import type { TrainerOptions } from "../trainer-options.ts";

/** What a preset needs besides flags. Pure functions of what they are given: a resumed run calls them again. */
export interface PresetHooks {
  /** The optimizer's parameter groups. */
  readonly groups: (
    model: Classifier,
    rates: { readonly lr: number; readonly weightDecay: number },
  ) => ParameterGroup[];
  /** Before the first step, once, unless the weights come from a file: then its result is in them. */
  readonly prepare: (model: Classifier, train: DeviceDataset) => Promise<void>;
  /** For the Trainer. */
  readonly trainer: (model: Classifier) => Pick<TrainerOptions, "lookahead" | "beforeStep">;
}

/** A recipe by name. */
export interface Preset {
  readonly name: string;
  readonly title: string;
  /** Where it was published, and what is not known of it. */
  readonly source: string;
  /** Flags of train.js, without the dashes, as they would be typed. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** Test accuracy that was published for CIFAR-10, 0..1. */
  readonly accuracy: number;
  readonly hooks?: PresetHooks;
}
