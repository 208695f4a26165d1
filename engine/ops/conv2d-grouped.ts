// Launches conv2d's kernels for groups > 1, the same on every adapter.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { ENOUGH_WORKGROUPS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { loadedAs, storedAs } from "./cast.ts";
import { splitRows, sumSplits, convolutionFlops, type Geometry } from "./conv2d-geometry.ts";

const INVOCATIONS = 64;
/** Workgroups of the weight gradient: real GPUs hide an invocation's loads, which wait for each other, behind many more invocations. */
const weightWorkgroups = (): number => (currentDevice().family === "workgroup" ? 8 : 1) * ENOUGH_WORKGROUPS;

/** [N,P,Q,K]. */
export function groupedForward(x: Tensor, weight: Tensor, g: Geometry): Tensor {
  const y = empty(g.y, x.dtype);
  const { width, params, constants } = variant(g);
  const { dy_size: y_size, ...others } = params;
  launch(kernels.conv2d.groupedForward, {
    bindings: { x, weight, y },
    constants: { ...constants, ...storedAs(x.dtype) },
    params: { ...others, y_size },
    workgroups: ceilDiv(y.size / width, INVOCATIONS),
    flops: convolutionFlops(g),
  });
  return y;
}

/** dx [N,H,W,C]. */
export function groupedInputGradient(dy: Tensor, weight: Tensor, g: Geometry): Tensor {
  const dx = empty(g.x, dy.dtype);
  const { width, params, constants } = variant(g);
  launch(kernels.conv2d.groupedInputGradient, {
    bindings: { dy, weight, dx },
    constants: { ...constants, ...storedAs(dy.dtype) },
    params,
    workgroups: ceilDiv(dx.size / width, INVOCATIONS),
    flops: convolutionFlops(g),
  });
  return dx;
}

/** dweight [R,S,C/groups,K]: split over the output rows so that a few weights still occupy a GPU, then added in fixed order. */
export function groupedWeightGradient(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  return scope(() => {
    const { width, params, constants } = variant(g);
    const values = sizeOf(g.weight) / width;
    const { splits, rowsPerSplit } = splitRows(g, ceilDiv(values, INVOCATIONS), weightWorkgroups());
    const vectors = ceilDiv(sizeOf(g.weight), 4); // each split starts at a whole vec4
    const parts = empty([splits, splits === 1 ? sizeOf(g.weight) : vectors * 4]);
    launch(kernels.conv2d.groupedWeightGradient, {
      bindings: { x, dy, dweight: parts },
      constants: { ...constants, ...loadedAs(x.dtype) },
      params: { ...params, splits, rows_per_split: rowsPerSplit, split_size: (vectors * 4) / width },
      workgroups: ceilDiv(splits * values, INVOCATIONS),
      flops: convolutionFlops(g),
    });
    return sumSplits(parts, g.weight);
  });
}

/** Each channel is a group of its own, and they come by fours: only then f16 can be stored. */
export const isDepthwise = ({ x, y, groups }: Geometry): boolean =>
  groups === x[3] && x[3] === y[3] && groups % 4 === 0;

/** How wide a value is: 4 channels where each is a group of its own, since they then never mix. */
function variant(g: Geometry) {
  const [C, K] = [g.x[3], g.y[3]];
  const width = isDepthwise(g) ? 4 : 1;
  const params = {
    x_size: [g.x[0], g.x[1], g.x[2], C / width],
    dy_size: [g.y[0], g.y[1], g.y[2], K / width],
    window: [g.weight[0], g.weight[1], ...g.dilation],
    step: [...g.stride, ...g.padding],
    group: [C / g.groups, K / g.groups],
  };
  return { width, params, constants: width === 4 ? { Value: "vec4f" } : {} };
}
