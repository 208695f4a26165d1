// Dynamic loss scaling for mixed precision: small gradients would vanish in f16, so the loss is multiplied before backward() and
// the gradients are divided again, in f32. Micikevicius et al. 2017, arXiv:1710.03740; defaults and rules are torch.amp.GradScaler's.
import { fromData, keep, type LossScaleOptions, type Tensor } from "../engine/index.ts";
import type { Optimizer } from "./optimizers/index.ts";

/** Where scaling stands: plain numbers, for snapshots and state files. */
export interface LossScaleState {
  readonly scale: number;
  /** Steps since the scale changed. */
  readonly steady: number;
  /** Steps of the run that were skipped because gradients overflowed. */
  readonly skipped: number;
}

export interface LossScalerOptions extends Partial<LossScaleOptions> {
  /** The scale of the first step. Default 65,536. */
  readonly initial?: number;
}

/**
 * The scale of an optimizer's losses. After an overflow the step changes nothing and the scale is multiplied by `backoff` (0.5); after
 * `interval` (2,000) steps without one by `growth` (2). All of it stays on the device.
 */
export class LossScaler implements Disposable {
  /** [4]: see engine/ops/loss-scale.ts. */
  readonly state: Tensor;
  readonly options: LossScaleOptions;
  readonly #optimizer: Optimizer;

  constructor(optimizer: Optimizer, options: LossScalerOptions = {}) {
    const { initial = 65_536, growth = 2, backoff = 0.5, interval = 2000 } = options;
    if (!(initial > 0)) throw new Error(`LossScaler: initial must be above 0, got ${initial}`);
    if (!(growth >= 1)) throw new Error(`LossScaler: growth must be at least 1, got ${growth}`);
    if (!(backoff > 0 && backoff <= 1))
      throw new Error(`LossScaler: backoff must be above 0 and at most 1, got ${backoff}`);
    if (!(Number.isInteger(interval) && interval >= 1)) {
      throw new Error(`LossScaler: interval must be a whole number of at least 1, got ${interval}`);
    }
    this.options = { growth, backoff, interval };
    this.#optimizer = optimizer;
    this.state = keep(fromData([initial, 1 / initial, 0, 0], [4]));
  }

  /** The loss to call `backward()` on. */
  scale(loss: Tensor): Tensor {
    return loss.mul(this.state.range(0, []));
  }

  /** Between `backward()` and whatever reads gradients. */
  unscale(): void {
    this.#optimizer.unscale(this);
  }

  async read(): Promise<LossScaleState> {
    const [state, skips] = await Promise.all([this.state.data(), this.#optimizer.skips.data()]);
    return { scale: state[0], steady: state[2], skipped: skips[0] };
  }

  load({ scale, steady, skipped }: LossScaleState): void {
    this.state.write([scale, 1 / scale, steady, 0]);
    this.#optimizer.skips.write([skipped, 0, 0, 0]);
  }

  /** Ends the scaling: the optimizer may go on without. */
  dispose(): void {
    this.#optimizer.endScaling();
    this.state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
