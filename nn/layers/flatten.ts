import { reshape } from "../../engine/ops/index.ts";
import { sizeOf, type Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Module } from "../module.ts";

/**
 * Makes one row of each item: x [N, ...] -> y [N, product of the rest].
 *
 * The order is channels last, so a linear layer behind it doesn't fit PyTorch's weights unless height and width are 1.
 */
export class Flatten extends Module {
  override forward(x: Tensor): Tensor {
    return reshape(x, flat(x.shape));
  }

  override outputShape(x: Shape): Shape {
    return flat(x);
  }
}

const flat = ([N, ...rest]: Shape): number[] => [N, sizeOf(rest)];
