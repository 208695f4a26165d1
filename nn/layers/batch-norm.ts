import { everyRun } from "../../engine/capture.ts";
import { batchNorm, type BatchNormPartials } from "../../engine/ops/index.ts";
import { check, showShape, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { constant } from "../init.ts";
import { Module } from "../module.ts";
import { Counter, Parameter, State } from "../parameter.ts";
import type { Conv2d } from "./conv2d.ts";
import { whole } from "./options.ts";

export interface BatchNorm2dOptions {
  /** Added to the variance. Default 1e-5. */
  eps?: number;
  /** Share of the new batch in the running statistics. Default 0.1. */
  momentum?: number;
}

/** What is computed in the same pass over the data. */
export interface FusedBatchNorm {
  /** Sums that the convolution before took; without them batch norm reads x once more. */
  partials?: BatchNormPartials;
  /** Added to the normalised values: the shortcut of a residual block. */
  add?: Tensor;
  /** Applies ReLU at the end. */
  relu?: boolean;
}

/**
 * Batch normalisation of each channel: `y = (x - mean) / sqrt(variance + eps) * weight + bias`.
 *
 * x [N,H,W,C] -> y of the same shape. In training, mean and (biased) variance are the batch's, and the running ones move:
 * `running = (1 - momentum) running + momentum batch`, with the unbiased variance. In evaluation the running ones are used.
 * `weight` starts 1, `bias` 0, `runningMean` 0, `runningVar` 1.
 */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: State;
  readonly runningVar: State;
  readonly numBatchesTracked = new Counter();
  readonly channels: number;
  readonly eps: number;
  readonly momentum: number;

  constructor(channels: number, options: BatchNorm2dOptions = {}) {
    super();
    this.channels = whole("BatchNorm2d", "channels", channels);
    this.eps = options.eps ?? 1e-5;
    this.momentum = options.momentum ?? 0.1;
    check(this.eps > 0, "BatchNorm2d", () => `eps must be above 0, not ${this.eps}`);
    check(
      this.momentum >= 0 && this.momentum <= 1,
      "BatchNorm2d",
      () => `momentum must be in 0..1, not ${this.momentum}`,
    );
    this.weight = new Parameter([channels], constant(1));
    this.bias = new Parameter([channels], constant(0));
    this.runningMean = new State([channels], 0);
    this.runningVar = new State([channels], 1);
  }

  override forward(x: Tensor, fused: FusedBatchNorm = {}): Tensor {
    const { weight, bias, runningMean, runningVar, training, momentum, eps } = this;
    if (training) everyRun(() => this.numBatchesTracked.value++);
    return batchNorm(x, { weight, bias, runningMean, runningVar, training, momentum, eps, ...fused });
  }

  override outputShape(x: Shape): Shape {
    const C = x.at(-1);
    check(C === this.channels, "BatchNorm2d", () => `needs ${this.channels} channels, x is ${showShape(x)}`);
    return x;
  }

  override extraRepr(): string {
    return `${this.channels}, eps=${this.eps}, momentum=${this.momentum}`;
  }
}

/**
 * `norm(conv(x))`, with addition and ReLU where asked for. While training, the convolution takes the statistics as it writes its
 * result, which saves batch norm a pass over it.
 */
export function convNorm(
  conv: Conv2d,
  norm: BatchNorm2d,
  x: Tensor,
  fused: Omit<FusedBatchNorm, "partials"> = {},
): Tensor {
  if (!norm.training) return norm.forward(conv.forward(x), fused);
  let partials: BatchNormPartials | undefined;
  const y = conv.forward(x, (taken) => (partials = taken));
  return norm.forward(y, partials ? { ...fused, partials } : fused);
}
