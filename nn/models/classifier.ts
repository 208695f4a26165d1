import type { Linear } from "../layers/linear.ts";
import { Module } from "../module.ts";
import type { Stem } from "./resnet.ts";

/** A model by name, from images x [N,H,W,3] to logits [N,classes]. */
export abstract class Classifier extends Module {
  abstract readonly name: string;
  abstract readonly stem: Stem;
  abstract readonly classes: number;
  /** The last layer. */
  abstract readonly fc: Linear;
  /** Names of the parts that Grad-CAM may look at, first to last. */
  abstract get stages(): string[];
}
