// Launches conv2d's kernels that need neither subgroups nor workgroup memory.
import { kernels } from "../../shaders/kernels.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { ceilDiv } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { loadedAs, storedAs } from "./cast.ts";
import {
  gatherFlops,
  gatherParams,
  splitRows,
  splitParts,
  sumSplits,
  convolutionFlops,
  weightGradientParams,
  type Gather,
  type Geometry,
} from "./conv2d-geometry.ts";

/** Places that one invocation computes; and columns, here and in the weight gradient. */
const PLACES = 8;
const COLUMNS = 8;
const INVOCATIONS = 64;

/** Writes y. No partial sums: an invocation sees too few rows for them to be worth their traffic, so batch norm sums by itself. */
export function gatherPortable(x: Tensor, weight: Tensor, y: Tensor, gather: Gather): null {
  const places = gather.y[0] * gather.places[0] * gather.places[1];
  launch(kernels.conv2d.gatherPortable, {
    bindings: { x, weight, y },
    constants: storedAs(x.dtype),
    params: gatherParams(gather),
    workgroups: ceilDiv(ceilDiv(places, PLACES) * ceilDiv(gather.y[3], COLUMNS), INVOCATIONS),
    flops: gatherFlops(gather),
  });
  return null;
}

/** dweight [R,S,C,K]. */
export function weightGradientPortable(x: Tensor, dy: Tensor, g: Geometry, into: Tensor | null): Tensor {
  const [R, S, C, K] = g.weight;
  const invocations = ((R * S * C) / 4) * ceilDiv(K, COLUMNS);
  // Enough invocations to fill a GPU where the weights are few and the pixels many.
  const { splits, rowsPerSplit } = splitRows(g, ceilDiv(invocations, INVOCATIONS), ENOUGH_WORKGROUPS);
  const parts = splitParts(g, splits, into);
  launch(kernels.conv2d.weightGradientPortable, {
    bindings: { x, dy, dweight: parts },
    constants: loadedAs(x.dtype),
    params: weightGradientParams(g, splits, rowsPerSplit),
    workgroups: ceilDiv(splits * invocations, INVOCATIONS),
    flops: convolutionFlops(g),
  });
  return sumSplits(parts, g.weight, into);
}
