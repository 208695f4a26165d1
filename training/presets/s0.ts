import type { Preset } from "./preset.ts";

/** The learning rate is far too high, as the range test's steepest descent at its end suggested it: the worst of the five. */
export const s0: Preset = {
  name: "s0",
  title: "ResNet-18, 20 epochs, SGD with one cycle up to 5.34",
  source:
    "Omkar1634, ERA_V2 Assignment 11. Its random crop has no padding and so does nothing; the holes are Albumentations' " +
    "CoarseDropout with its defaults (the notes give no sizes).",
  settings: {
    model: "resnet18",
    epochs: 20,
    "batch-size": 512,
    optimizer: "sgd",
    lr: 5.34,
    momentum: 0.9,
    "weight-decay": 1e-4,
    schedule: "onecycle:pct_start=0.3,anneal_strategy=linear,div_factor=100,final_div_factor=100",
    augment: "cutout:8:holes=8:p=0.5:fill=mean",
  },
  accuracy: 0.8722,
};
