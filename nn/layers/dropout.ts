import { everyRun } from "../../engine/capture.ts";
import { dropout } from "../../engine/ops/index.ts";
import { check, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { dropoutSeed } from "../init.ts";
import { Module } from "../module.ts";

/**
 * While training, sets each element to 0 with probability `p` (0 to 1, default 0.5) and multiplies the others by 1 / (1 - p). In
 * evaluation `y = x`. x [...] -> y of the same shape.
 *
 * What is dropped is a pure function of (`seed`, `step`, element). `initialize()` gives each layer of a model a seed of its own.
 */
export class Dropout extends Module {
  readonly p: number;
  /** u32. */
  seed: number;
  /** Counts the runs while training; set it to replay from a certain one. */
  step = 0;
  static #count = 0;

  constructor(p = 0.5) {
    super();
    check(p >= 0 && p <= 1, "Dropout", () => `p must be in 0..1, not ${p}`);
    this.p = p;
    this.seed = Dropout.#count++;
  }

  override forward(x: Tensor): Tensor {
    const { p, seed, training } = this;
    // Of this call alone: the gradient needs it again when the layer may have run once more.
    let step = 0;
    if (training) everyRun(() => (step = this.step++));
    return dropout(x, p, { seed, step: () => step, training });
  }

  override reseed(seed: number, name: string): void {
    this.seed = dropoutSeed(seed, name);
    this.step = 0;
  }

  override outputShape(x: Shape): Shape {
    return x;
  }

  override extraRepr(): string {
    return `p=${this.p}`;
  }
}
