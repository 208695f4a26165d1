// Parameters with gradients of one's choice, for tests of optimizers.
import { relu, scope, type Tensor } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import { toGpu } from "./gpu.ts";
import { randomArr } from "./random.ts";

/** Gives `parameter` the gradient `g`: relu of positive parameters is the identity. */
export function giveGradient(parameter: Tensor, g: Arr): void {
  scope(() => relu(parameter).backward(toGpu(g)));
}

export const positive = (shape: number[], seed: number): Arr => randomArr(shape, seed, { min: 5, max: 6 });
export const parameter = (array: Arr): Tensor => toGpu(array, { requiresGrad: true });
export const disposeAll = (tensors: readonly Tensor[]): void => tensors.forEach((tensor) => tensor.dispose());
