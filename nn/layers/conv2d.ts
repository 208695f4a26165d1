import { add, conv2d, type BatchNormPartials } from "../../engine/ops/index.ts";
import { throughSingle } from "../../engine/ops/cast.ts";
import { check, showShape, windowCounts, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { fanInUniform, type Initializer } from "../init.ts";
import { Module } from "../module.ts";
import { Parameter } from "../parameter.ts";
import type { Pair } from "../../engine/shape.ts";
import { pairOf, showPair, whole } from "./options.ts";

export interface Conv2dOptions {
  /** Height and width of the kernel. Default 3. */
  kernel?: Pair;
  /** Pixels from one output to the next. Default 1. */
  stride?: Pair;
  /** Rows and columns of zeros added on each side. Default 0. */
  padding?: Pair;
  /** Distance of neighbouring taps. Default 1. */
  dilation?: Pair;
  /** Splits the channels into groups that don't see each other; `inputs` for a depthwise convolution. Default 1. */
  groups?: number;
  /** Adds a learned number to each output channel. Default true. */
  bias?: boolean;
  /** Starting values of the weight. Default uniform in +-1/sqrt(R S inputs/groups), PyTorch's. */
  initial?: Initializer;
}

/**
 * Convolution (cross-correlation, as everywhere in deep learning):
 * `y[n,p,q,k] = bias[k] + sum over r,s,c of x[n, p*stride + r*dilation - padding, ..., c] * weight[r,s,c,k]`.
 *
 * x [N,H,W,inputs] -> y [N,P,Q,outputs] with `P = floor((H + 2 padding - dilation (R - 1) - 1) / stride) + 1`.
 * `weight` [R,S,inputs/groups,outputs] and `bias` [outputs] start uniform in +-1/sqrt(R S inputs/groups).
 */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;

  constructor(inputs: number, outputs: number, options: Conv2dOptions = {}) {
    super();
    this.inputs = whole("Conv2d", "inputs", inputs);
    this.outputs = whole("Conv2d", "outputs", outputs);
    this.kernel = pairOf("Conv2d", "kernel", options.kernel ?? 3, 1);
    this.stride = pairOf("Conv2d", "stride", options.stride ?? 1, 1);
    this.padding = pairOf("Conv2d", "padding", options.padding ?? 0, 0);
    this.dilation = pairOf("Conv2d", "dilation", options.dilation ?? 1, 1);
    const groups = (this.groups = whole("Conv2d", "groups", options.groups ?? 1));
    check(
      inputs % groups === 0 && outputs % groups === 0,
      "Conv2d",
      () => `${groups} groups must divide ${inputs} inputs and ${outputs} outputs`,
    );
    const [R, S] = this.kernel;
    const initial = fanInUniform((inputs / groups) * R * S);
    this.weight = new Parameter([R, S, inputs / groups, outputs], options.initial ?? initial, [3, 2, 0, 1]);
    this.bias = options.bias === false ? null : new Parameter([outputs], initial);
  }

  /** @param withPartials given, receives the partial sums that batch norm needs, taken while y is written */
  override forward(x: Tensor, withPartials?: (partials: BatchNormPartials) => void): Tensor {
    const { weight, bias, stride, padding, dilation, groups } = this;
    const options = { stride, padding, dilation, groups };
    if (withPartials && !bias) {
      const { y, partials } = conv2d(x, weight, { ...options, stats: true });
      if (partials) withPartials(partials);
      return y;
    }
    const y = conv2d(x, weight, options);
    return bias ? throughSingle(y, (wide) => add(wide, bias)) : y;
  }

  override outputShape(x: Shape): Shape {
    const [N, , , C] = x;
    check(x.length === 4 && C === this.inputs, "Conv2d", () => `needs [N,H,W,${this.inputs}], x is ${showShape(x)}`);
    return [N, ...windowCounts("Conv2d", x, this), this.outputs];
  }

  override extraRepr(): string {
    const { inputs, outputs, kernel, stride, padding, dilation, groups } = this;
    const parts = [`${inputs}, ${outputs}, kernel=${showPair(kernel)}, stride=${showPair(stride)}`];
    if (showPair(padding) !== "0") parts.push(`padding=${showPair(padding)}`);
    if (showPair(dilation) !== "1") parts.push(`dilation=${showPair(dilation)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (!this.bias) parts.push("bias=false");
    return parts.join(", ");
  }
}
