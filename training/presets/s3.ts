import type { Preset } from "./preset.ts";

/** A constant rate, and a first convolution padded by 13: its last maps have 7 x 7 cells, which Grad-CAM shows well. */
export const s3: Preset = {
  name: "s3",
  title: "ResNet-18 on 56 x 56, 20 epochs, SGD at a constant 0.01",
  source:
    "gokul-pv, AdvancedTrainingConcepts. With nothing that lowers the rate its accuracy moves by percents from epoch to epoch. Holes and " +
    "borders are black, as fractions given for bytes come out.",
  settings: {
    model: "resnet18",
    stem: "padded",
    epochs: 20,
    "batch-size": 128,
    optimizer: "sgd",
    lr: 0.01,
    momentum: 0.9,
    "weight-decay": 0,
    schedule: "constant",
    augment: "pad-crop:4,cutout:16:fill=0",
  },
  accuracy: 0.8803,
};
