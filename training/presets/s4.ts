import type { Preset } from "./preset.ts";

/** Holes are drawn in a canvas of 64 pixels, so that most of a fifth of the images get one; no flip. */
export const s4: Preset = {
  name: "s4",
  title: "ResNet-18, 20 epochs, Adam with one cycle up to 1.91e-3",
  source: "Madhur-1, ERA-v1 Session 11. Its fill of 0.49 becomes 0 as a byte: black.",
  settings: {
    model: "resnet18",
    epochs: 20,
    "batch-size": 512,
    optimizer: "adam",
    lr: 1.91e-3,
    "weight-decay": 1e-4,
    schedule: "onecycle:pct_start=0.25,anneal_strategy=linear,div_factor=100,final_div_factor=100",
    augment: "pad-crop:4,cutout:16:p=0.2:fill=0:canvas=64",
  },
  accuracy: 0.9141,
};
