// The sum of two gradients by kernels for real GPUs.
import { beforeAll, expect, it } from "vitest";
import { currentDevice } from "../../engine/index.ts";
import type { Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { inputGradient } from "../../engine/ops/conv2d-launch.ts";
import * as reference from "../reference/conv2d.ts";
import { testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { stored } from "../support/half.ts";
import { withMatrices } from "../support/matrices.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { block, checkSum, direct } from "./conv2d-sums-checks.ts";

beforeAll(testDevice);

// The second alone: each of these kernels takes a software GPU's compiler as long as all others here.
it("in tiles of workgroup memory", async () => {
  const x = randomArr([2, 7, 6, 8], 1);
  const weight = randomArr([3, 3, 8, 12], 2);
  const before = stored(randomArr(x.shape, 3), "f16");
  const dy = stored(randomArr([2, 4, 3, 12], 4), "f16");
  const pair = (n: number) => [n, n] as const;
  const geometry: Geometry = { x: [2, 7, 6, 8], y: [2, 4, 3, 12], weight: [3, 3, 8, 12], stride: pair(2), padding: pair(1), dilation: pair(1), groups: 1 }; // prettier-ignore
  const held = toGpu(before, { dtype: "f16" });
  const dx = await withFamily("workgroup", () =>
    inputGradient(toGpu(dy, { dtype: "f16" }), toGpu(weight), geometry, null, held),
  );
  expect(dx).toBe(held);
  const { dx: own } = reference.conv2dGradients(x, weight, dy, { stride: 2, padding: 1 });
  const want = { shape: x.shape, data: own.data.map((value, i) => value + before.data[i]) };
  const how = { op: "conv2d dx, added", shapes: { x: x.shape }, options: {} };
  expectClose({ data: await dx.data(), shape: x.shape }, want, { ...how, ...direct("f16")(9 * 12 + 1) });
});

it("in subgroup matrices", async () => {
  const run = <T>(work: () => Promise<T>) => withMatrices(currentDevice(), { M: 16, N: 16, K: 16 }, work);
  const kernels = await checkSum(block, "f16", "f16", direct("f16"), run);
  // Four phases of the strided one, and the one that the shortcut sees.
  expect(kernels.filter((kernel) => kernel.startsWith("conv2d/gather-matrix"))).toHaveLength(5);
});
