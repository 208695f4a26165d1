import { sgdStep, type FlatParameters, type GroupRate, type Tensor } from "../../engine/index.ts";
import { Optimizer, type ParameterGroup } from "./optimizer.ts";

export interface SGDOptions {
  lr: number;
  /** 0 (no momentum buffers) up to, but not including, 1. */
  momentum?: number;
  dampening?: number;
  /** Needs momentum, and no dampening. */
  nesterov?: boolean;
  weightDecay?: number;
}

/**
 * Stochastic gradient descent as torch.optim.SGD computes it: the rate multiplies after the momentum, and the first step takes
 * the gradient as the momentum buffer, without dampening. Throws where options are missing or out of range.
 */
export class SGD extends Optimizer {
  readonly #buffers: Tensor | null;
  #momentum: number;
  readonly #dampening: number;
  readonly #nesterov: boolean;

  constructor(parameters: readonly Tensor[] | readonly ParameterGroup[], options: SGDOptions) {
    // PyTorch's SGD has a default rate.
    if (options?.lr === undefined)
      throw new Error("SGD: lr is missing, as in new SGD(model.parameters(), { lr: 0.1 })");
    const { lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
    if (!(momentum >= 0 && momentum < 1))
      throw new Error(`SGD: momentum must be from 0 up to below 1, got ${momentum}`);
    if (!(dampening >= 0 && dampening <= 1)) throw new Error(`SGD: dampening must be from 0 to 1, got ${dampening}`);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new Error("SGD: nesterov needs a momentum above 0 and no dampening");
    }
    super("SGD", parameters, lr, weightDecay);
    this.#momentum = momentum;
    this.#dampening = dampening;
    this.#nesterov = nesterov;
    this.#buffers = momentum > 0 ? this.zeros() : null;
  }

  get momentum(): number {
    return this.#momentum;
  }

  /** Throws for an optimizer that was made without momentum: it has no buffers. */
  setMomentum(momentum: number): void {
    this.check("momentum", momentum, momentum >= 0 && momentum < 1, "be from 0 up to below 1");
    if (!this.#buffers && momentum > 0) {
      throw new Error("SGD: it was made without momentum, which cannot be changed later; give momentum in its options");
    }
    this.#momentum = momentum;
  }

  protected update(flat: FlatParameters, groups: readonly GroupRate[]): void {
    sgdStep(flat, this.#buffers, () => ({
      groups,
      momentum: this.#momentum,
      dampening: this.#dampening,
      nesterov: this.#nesterov,
      first: this.steps === 1,
    }));
  }

  protected buffers(): Readonly<Record<string, Tensor>> {
    return this.#buffers ? { momentumBuffer: this.#buffers } : {};
  }

  protected settings(): Readonly<Record<string, number>> {
    return { momentum: this.#momentum };
  }

  protected restore(settings: Readonly<Record<string, number>>): void {
    this.setMomentum(settings["momentum"]);
  }
}
