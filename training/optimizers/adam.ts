import { adamStep, type FlatParameters, type GroupRate, type Tensor } from "../../engine/index.ts";
import { Optimizer, type ParameterGroup } from "./optimizer.ts";

export interface AdamOptions {
  /** Default 1e-3. */
  lr?: number;
  /** Decay rates of the running means of the gradient and of its square. Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment, after the bias correction. Default 1e-8. */
  eps?: number;
  /** Default 0 for Adam, 0.01 for AdamW. */
  weightDecay?: number;
}

const isRate = (beta: number): boolean => beta >= 0 && beta < 1;

/**
 * Adam as torch.optim.Adam computes it (without amsgrad): the decay joins the gradient. Unlike there the bias correction counts the
 * optimizer's steps, not each parameter's: make a new optimizer where parameters join later (`unfreeze`).
 */
export class Adam extends Optimizer {
  readonly #moments: readonly [Tensor, Tensor];
  readonly #decoupled: boolean;
  #beta1: number;
  readonly #beta2: number;
  readonly #eps: number;

  constructor(parameters: readonly Tensor[] | readonly ParameterGroup[], options: AdamOptions = {}, decoupled = false) {
    const name = decoupled ? "AdamW" : "Adam";
    // A rate in their place would be passed over.
    if (typeof options !== "object") {
      throw new Error(`${name}: the options must be an object, as in { lr: 0.001 }, got ${String(options)}`);
    }
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = decoupled ? 1e-2 : 0 } = options;
    if (!betas.every(isRate)) throw new Error(`${name}: betas must be from 0 up to below 1, got ${betas.join(", ")}`);
    if (!(eps >= 0)) throw new Error(`${name}: eps must not be negative, got ${eps}`);
    super(name, parameters, lr, weightDecay);
    this.#decoupled = decoupled;
    [this.#beta1, this.#beta2] = betas;
    this.#eps = eps;
    this.#moments = [this.zeros(), this.zeros()];
  }

  /** beta1. */
  get momentum(): number {
    return this.#beta1;
  }

  /** Sets beta1. The bias correction uses the current value, as in PyTorch. */
  setMomentum(beta1: number): void {
    this.#beta1 = this.check("beta1", beta1, isRate(beta1), "be from 0 up to below 1");
  }

  protected update(flat: FlatParameters, groups: readonly GroupRate[]): void {
    adamStep(flat, this.#moments, () => ({
      groups,
      betas: [this.#beta1, this.#beta2],
      eps: this.#eps,
      step: this.steps,
      decoupled: this.#decoupled,
    }));
  }

  protected buffers(): Readonly<Record<string, Tensor>> {
    return { firstMoment: this.#moments[0], secondMoment: this.#moments[1] };
  }

  protected settings(): Readonly<Record<string, number>> {
    return { beta1: this.#beta1 };
  }

  protected restore(settings: Readonly<Record<string, number>>): void {
    this.setMomentum(settings["beta1"]);
  }
}

/** AdamW as torch.optim.AdamW computes it: the decay shrinks the weights by lr * weightDecay (default 0.01) instead. */
export class AdamW extends Adam {
  constructor(parameters: readonly Tensor[] | readonly ParameterGroup[], options: AdamOptions = {}) {
    super(parameters, options, true);
  }
}
