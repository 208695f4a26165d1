import { airbenchHooks } from "./airbench.ts";
import type { Preset } from "./preset.ts";

/** Three convolutions a group with a shortcut, larger moves and holes. */
export const airbench96: Preset = {
  name: "airbench96",
  title: "airbench96: 96 % in 37 epochs",
  source:
    "Keller Jordan, cifar10-airbench (arXiv 2404.00498): 96.03 % over 400 runs with six views. Mean-loss units: its rates over the batch size.",
  settings: {
    model: "airbench96",
    epochs: 37,
    "batch-size": 1024,
    "drop-last": true,
    optimizer: "sgd",
    lr: 1.1739,
    momentum: 0.85,
    nesterov: true,
    "weight-decay": 1.3333e-3,
    "label-smoothing": 0.2,
    schedule: "piecewise:shares=0/0.1/1,factors=0.2/1/0",
    augment: "flip:alternate,pad-crop:4:reflect101,cutout:12:fill=mean",
    tta: "six",
  },
  accuracy: 0.9603,
  hooks: airbenchHooks,
};
