import type { Preset } from "./preset.ts";

/** A strong weight decay inside Adam, one cycle up to the rate that its range test suggested, and no flip. */
export const s1: Preset = {
  name: "s1",
  title: "ResNet-18, 20 epochs, Adam with one cycle up to 6.28e-4",
  source: "adil22jaleel, era-v1 assignments. beta1 goes around the cycle too, from 0.95 to 0.85 and back.",
  settings: {
    model: "resnet18",
    epochs: 20,
    "batch-size": 512,
    optimizer: "adam",
    lr: 6.280291441834253e-4,
    "weight-decay": 1e-2,
    schedule: "onecycle:pct_start=0.25,anneal_strategy=linear,div_factor=100,final_div_factor=100",
    augment: "pad-crop:2:reflect,cutout:16:place=clipped:fill=mean",
  },
  accuracy: 0.9103,
};
