import type { Shape } from "../../engine/shape.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { Module, type ShapeVisitor } from "../module.ts";
import { BatchNorm2d, convNorm } from "./batch-norm.ts";
import { Conv2d } from "./conv2d.ts";

/**
 * Modules one after the other: `y = last(...(first(x)))`. They are named "0", "1", ... A convolution that batch norm follows
 * takes its statistics (see `convNorm`). Example: `new Sequential(new Conv2d(3, 16), new BatchNorm2d(16), new ReLU())`.
 */
export class Sequential extends Module {
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }

  override forward(x: Tensor): Tensor {
    return this.frugally(x, () => this.#run(x));
  }

  #run(x: Tensor): Tensor {
    let y = x;
    for (let i = 0; i < this.layers.length; i++) {
      const layer = this.layers[i];
      const next = this.layers[i + 1];
      if (layer instanceof Conv2d && next instanceof BatchNorm2d) {
        y = convNorm(layer, next, y);
        i++;
      } else y = layer.forward(y);
    }
    return y;
  }

  override namedChildren(): [string, Module][] {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  override outputShape(x: Shape, visit: ShapeVisitor): Shape {
    return this.layers.reduce((shape, layer) => layer.traceShape(shape, visit), x);
  }
}
