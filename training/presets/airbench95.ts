import { airbenchHooks } from "./airbench.ts";
import type { Preset } from "./preset.ts";

/** The same with wider groups. */
export const airbench95: Preset = {
  name: "airbench95",
  title: "airbench95: 95 % in 15 epochs",
  source:
    "Keller Jordan, cifar10-airbench (arXiv 2404.00498): 95.01 % over 200 runs with six views. Mean-loss units: its rates over the batch size.",
  settings: {
    model: "airbench95",
    epochs: 15,
    "batch-size": 1024,
    "drop-last": true,
    optimizer: "sgd",
    lr: 1.3043,
    momentum: 0.85,
    nesterov: true,
    "weight-decay": 1.53e-3,
    "label-smoothing": 0.2,
    schedule: "piecewise:shares=0/0.23/1,factors=0.2/1/0.07",
    augment: "flip:alternate,pad-crop:2:reflect101",
    tta: "six",
  },
  accuracy: 0.9501,
  hooks: airbenchHooks,
};
