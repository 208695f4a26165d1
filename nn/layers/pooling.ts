import { avgPool2d, globalAvgPool, maxPool2d } from "../../engine/ops/index.ts";
import { windowCounts, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Module } from "../module.ts";
import type { Pair } from "../../engine/shape.ts";
import { pairOf, showPair } from "./options.ts";

export interface PoolOptions {
  /** Height and width of the window. Default 2. */
  kernel?: Pair;
  /** Pixels from one window to the next. Default: the kernel, so that windows don't overlap. */
  stride?: Pair;
  /** Rows and columns added on each side; the maximum ignores them, the average counts them as zeros. Default 0. */
  padding?: Pair;
}

/** x [N,H,W,C] -> y [N,P,Q,C] with `P = floor((H + 2 padding - kernel) / stride) + 1`. */
abstract class Pool2d extends Module {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];

  constructor(options: PoolOptions = {}) {
    super();
    this.kernel = pairOf(this.typeName, "kernel", options.kernel ?? 2, 1);
    this.stride = pairOf(this.typeName, "stride", options.stride ?? this.kernel, 1);
    this.padding = pairOf(this.typeName, "padding", options.padding ?? 0, 0);
  }

  override outputShape(x: Shape): Shape {
    return [x[0], ...windowCounts(this.typeName, x, this), x[3]];
  }

  override extraRepr(): string {
    return `kernel=${showPair(this.kernel)}, stride=${showPair(this.stride)}, padding=${showPair(this.padding)}`;
  }
}

/** The largest value of each window. x [N,H,W,C] -> y [N,P,Q,C]. */
export class MaxPool2d extends Pool2d {
  override forward(x: Tensor): Tensor {
    const { kernel, stride, padding } = this;
    return maxPool2d(x, { kernel, stride, padding });
  }
}

/** The mean of each window. x [N,H,W,C] -> y [N,P,Q,C]. */
export class AvgPool2d extends Pool2d {
  override forward(x: Tensor): Tensor {
    const { kernel, stride, padding } = this;
    return avgPool2d(x, { kernel, stride, padding });
  }
}

/** The mean of each channel over the whole image: x [N,H,W,C] -> y [N,C]. PyTorch's AdaptiveAvgPool2d(1) and Flatten. */
export class GlobalAvgPool extends Module {
  override forward(x: Tensor): Tensor {
    return globalAvgPool(x);
  }

  override outputShape(x: Shape): Shape {
    return [x[0], x[3]];
  }
}
