import type { Preset } from "./preset.ts";

/** The long triangle. */
export const resnet18Epochs80: Preset = {
  name: "resnet18-80",
  title: "ResNet-18 in 80 epochs",
  source:
    "Keller Jordan, cifar10-zoo, train_resnet18_96: 95.875 % with mirrored views over 100 runs, 95.3 to 95.7 % with single ones.",
  settings: {
    model: "resnet18",
    epochs: 80,
    "batch-size": 500,
    optimizer: "sgd",
    lr: 0.2,
    momentum: 0.9,
    nesterov: true,
    "weight-decay": 5e-4,
    schedule: "piecewise:shares=0/0.2/1,factors=0.2/1/0",
    augment: "flip,cutout:12:fill=mean,pad-crop:4:reflect101",
    tta: "mirror",
  },
  accuracy: 0.95875,
};
