import type { Preset } from "./preset.ts";

/** The classic: cosine to zero, large holes, nothing averaged. */
export const resnet18Epochs200: Preset = {
  name: "resnet18-200",
  title: "ResNet-18 in 200 epochs with cutout",
  source:
    "DeVries and Taylor, arXiv 1708.04552: 96.01 % over 5 runs; its schedule in steps is a cosine here, as in kuangliu's pytorch-cifar.",
  settings: {
    model: "resnet18",
    epochs: 200,
    "batch-size": 128,
    optimizer: "sgd",
    lr: 0.1,
    momentum: 0.9,
    nesterov: true,
    "weight-decay": 5e-4,
    schedule: "cosine",
    augment: "pad-crop:4,flip,cutout:16:place=center:fill=mean",
    tta: "none",
  },
  accuracy: 0.9601,
};
