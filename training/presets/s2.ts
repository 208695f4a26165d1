import type { Preset } from "./preset.ts";

/** A rate that shrinks by a tenth where the loss stands still. */
export const s2: Preset = {
  name: "s2",
  title: "ResNet-18, 50 epochs, SGD, the rate reduced on a plateau",
  source:
    "A course's session 10, known by its log. There the plateau watched the loss of a batch; here it is the whole test set's. Angles " +
    "and sizes of its augmentation are not published: those here are common ones.",
  settings: {
    model: "resnet18",
    epochs: 50,
    "batch-size": 128,
    optimizer: "sgd",
    lr: 0.009,
    momentum: 0.9,
    "weight-decay": 0,
    schedule: "plateau:factor=0.9,patience=2,monitor=test-loss",
    augment: "rotate:15,flip,vflip,cutout:16",
  },
  accuracy: 0.8891,
};
