import type { Preset } from "./preset.ts";

/** The sure 95 % with a single view. */
export const resnet18Epochs60: Preset = {
  name: "resnet18-60",
  title: "ResNet-18 in 60 epochs",
  source:
    "Between the two published lengths of this recipe (26 and 80 epochs) by a power law: 95.0 % with single views, not published itself.",
  settings: {
    model: "resnet18",
    epochs: 60,
    "batch-size": 500,
    optimizer: "sgd",
    lr: 0.2,
    momentum: 0.9,
    nesterov: true,
    "weight-decay": 5e-4,
    schedule: "piecewise:shares=0/0.2/1,factors=0.2/1/0",
    augment: "flip,cutout:12:fill=mean,pad-crop:4:reflect101",
    tta: "none",
  },
  accuracy: 0.95,
};
