import { airbenchHooks } from "./airbench.ts";
import type { Preset } from "./preset.ts";

/** The quickest way to 94 %: a tenth of a ResNet-18 run's arithmetic. */
export const airbench94: Preset = {
  name: "airbench94",
  title: "airbench94: 94 % in 9.9 epochs",
  source:
    "Keller Jordan, cifar10-airbench (arXiv 2404.00498): 94.01 % over 1000 runs with six views. Mean-loss units: its rates over the batch size.",
  settings: {
    model: "airbench94",
    epochs: 9.9,
    "batch-size": 1024,
    "drop-last": true,
    optimizer: "sgd",
    lr: 1.5,
    momentum: 0.85,
    nesterov: true,
    "weight-decay": 1.3304e-3,
    "label-smoothing": 0.2,
    schedule: "piecewise:shares=0/0.23/1,factors=0.2/1/0.07",
    augment: "flip:alternate,pad-crop:2:reflect101",
    tta: "six",
  },
  accuracy: 0.9401,
  hooks: airbenchHooks,
};
