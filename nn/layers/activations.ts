// Element-wise activations: x [...] -> y of the same shape, no parameters.
import { gelu, leakyRelu, relu, sigmoid, silu, tanh } from "../../engine/ops/index.ts";
import type { Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Module } from "../module.ts";

/** A module that works on each element by itself. */
abstract class ElementWise extends Module {
  override outputShape(x: Shape): Shape {
    return x;
  }
}

/** `max(x, 0)`. */
export class ReLU extends ElementWise {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** `x` where it is positive, else `slope * x`. Default slope 0.01. */
export class LeakyReLU extends ElementWise {
  readonly slope: number;

  constructor(options: { slope?: number } = {}) {
    super();
    this.slope = options.slope ?? 0.01;
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, { slope: this.slope });
  }

  override extraRepr(): string {
    return `slope=${this.slope}`;
  }
}

/** `x` times the normal distribution function of `x`: the exact form, PyTorch's default. */
export class GELU extends ElementWise {
  override forward(x: Tensor): Tensor {
    return gelu(x);
  }
}

/** `x * sigmoid(x)`, also called swish. */
export class SiLU extends ElementWise {
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** `1 / (1 + exp(-x))`. */
export class Sigmoid extends ElementWise {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** `tanh(x)`. */
export class Tanh extends ElementWise {
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}
