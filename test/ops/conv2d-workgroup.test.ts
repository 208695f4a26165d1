// The kernels for real GPUs compile their geometry in: every shape costs a software GPU several compilations, so few shapes.
import { beforeAll, describe, expect, it } from "vitest";
import { empty } from "../../engine/index.ts";
import { gatherWorkgroup, weightGradientWorkgroup, type WorkgroupTile } from "../../engine/ops/conv2d-workgroup.ts";
import type { Gather, Geometry } from "../../engine/ops/conv2d-geometry.ts";
import * as reference from "../reference/conv2d.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

describe("workgroup", () => {
  it.each<Case>([
    { x: [1, 1, 63, 3], weight: [1, 1, 3, 10] }, // tile - 1 places; C and K padded to 4
    { x: [2, 9, 7, 20], weight: [3, 3, 20, 68], options: { stride: 2, padding: 1 } }, // partial chunk, a second column tile, 4 phases
    { x: [1, 9, 10, 8], weight: [3, 2, 8, 4], options: { stride: [2, 3], padding: [0, 2], dilation: [3, 2] } },
  ])("x $x weight $weight $options", (shape) => checkConv2d(shape, "workgroup"));

  it.each<Case>([
    { x: [1, 5, 13, 4], weight: [1, 1, 4, 8] }, // tile + 1 places: a last tile of one place
    { x: [3, 7, 5, 16], weight: [3, 3, 16, 68], options: { padding: 1 } },
  ])("batch norm's partial sums, x $x weight $weight $options", (shape) => checkStats(shape, "workgroup"));
});
