import { add, cast, matmul } from "../../engine/ops/index.ts";
import { check, showShape, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { fanInUniform } from "../init.ts";
import { Module } from "../module.ts";
import { Parameter } from "../parameter.ts";
import { whole } from "./options.ts";

export interface LinearOptions {
  /** Adds a learned number to each output. Default true. */
  bias?: boolean;
}

/**
 * A fully connected layer: `y = x weight + bias`.
 *
 * x [..., inputs] -> y [..., outputs]. `weight` is [inputs,outputs] here ([outputs,inputs] in files, as in PyTorch); it and
 * `bias` [outputs] start uniform in +-1/sqrt(inputs). Always in f32, of an f16 x too.
 */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly inputs: number;
  readonly outputs: number;

  constructor(inputs: number, outputs: number, options: LinearOptions = {}) {
    super();
    this.inputs = whole("Linear", "inputs", inputs);
    this.outputs = whole("Linear", "outputs", outputs);
    this.weight = new Parameter([inputs, outputs], fanInUniform(inputs), [1, 0]);
    this.bias = options.bias === false ? null : new Parameter([outputs], fanInUniform(inputs));
  }

  override forward(x: Tensor): Tensor {
    const y = matmul(cast(x, "f32"), this.weight);
    return this.bias ? add(y, this.bias) : y;
  }

  override outputShape(x: Shape): Shape {
    check(x.at(-1) === this.inputs, "Linear", () => `needs [...,${this.inputs}], x is ${showShape(x)}`);
    return [...x.slice(0, -1), this.outputs];
  }

  override extraRepr(): string {
    return `inputs=${this.inputs}, outputs=${this.outputs}, bias=${this.bias !== null}`;
  }
}
