// conv2d's kernels for software GPUs: one subgroup a tile, broadcasts instead of workgroup memory and barriers.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import {
  gatherFlops,
  gatherParams,
  noPartials,
  splitRows,
  sumSplits,
  weightGradientFlops,
  weightGradientParams,
  type Gather,
  type Geometry,
} from "./conv2d-geometry.ts";

const lanes = (): number => currentDevice().info.subgroupSize;

/** Columns a lane computes: 2 where 16 or fewer columns would leave half of the lanes of a vec4 tile idle. */
const narrow = (K: number, lanes: number): boolean => K <= 2 * lanes && K % 2 === 0;

export function gatherSubgroup(
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  gather: Gather,
  stats: boolean,
): BatchNormPartials | null {
  return scope(() => {
    const LANES = lanes();
    const K = gather.y[3];
    const rows = 4 * LANES;
    const places = gather.y[0] * gather.places[0] * gather.places[1];
    const tiles = ceilDiv(places, rows);
    const isNarrow = narrow(K, LANES);
    const width = isNarrow ? 2 : 4;
    const partials = stats ? empty([tiles, 2, K]) : noPartials();
    launch(kernels.conv2d.gatherSubgroup, {
      bindings: { x, weight, y, partials },
      constants: { LANES, ...(isNarrow ? { Block: "vec2f", WIDTH: 2 } : {}) },
      params: { ...gatherParams(gather), stats: stats ? 1 : 0 },
      workgroups: tiles * ceilDiv(K, width * LANES),
      flops: gatherFlops(gather),
    });
    return stats ? { means: partials, rowsPerTile: rows, rows: places } : null;
  });
}

export function weightGradientSubgroup(x: Tensor, dy: Tensor, g: Geometry): Tensor {
  const LANES = lanes();
  const [R, S, C, K] = g.weight;
  const isNarrow = narrow(K, LANES);
  const tiles = ceilDiv(R * S * C, 4 * LANES) * ceilDiv(K, (isNarrow ? 2 : 4) * LANES);
  // A handful of workgroups per core evens out their ends; more splits would only cost memory traffic.
  const { splits, rowsPerSplit } = splitRows(g, tiles, 16);
  const parts = empty([splits, R, S, C, K]);
  launch(kernels.conv2d.weightGradientSubgroup, {
    bindings: { x, dy, dweight: parts },
    constants: { LANES, ...(isNarrow ? { Block: "vec2f", WIDTH: 2 } : {}) },
    params: weightGradientParams(g, splits, rowsPerSplit),
    workgroups: splits * tiles,
    flops: weightGradientFlops(g),
  });
  return sumSplits(parts, g);
}
