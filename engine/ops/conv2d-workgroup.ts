import type { Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import type { Gather, Geometry } from "./conv2d-launch.ts";
export function gatherWorkgroup(_x: Tensor, _weight: Tensor, _y: Tensor, _gather: Gather, _stats: boolean): BatchNormPartials | null { throw new Error("todo"); }
export function weightGradientWorkgroup(_x: Tensor, _dy: Tensor, _g: Geometry): Tensor { throw new Error("todo"); }
