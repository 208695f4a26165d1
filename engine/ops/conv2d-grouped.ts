import type { Tensor } from "../tensor.ts";
import type { Geometry } from "./conv2d-geometry.ts";
export function groupedForward(_x: Tensor, _w: Tensor, _g: Geometry): Tensor {
  throw new Error("todo");
}
export function groupedInputGradient(_dy: Tensor, _w: Tensor, _g: Geometry): Tensor {
  throw new Error("todo");
}
export function groupedWeightGradient(_x: Tensor, _dy: Tensor, _g: Geometry): Tensor {
  throw new Error("todo");
}
