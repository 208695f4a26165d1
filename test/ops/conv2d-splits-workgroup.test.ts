// The sum of a weight gradient's splits on real GPUs.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { currentDevice, empty, fromData, type KernelFamily } from "../../engine/index.ts";
import { sumSplits, type Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { groupedWeightGradient } from "../../engine/ops/conv2d-grouped.ts";
import { testDevice, withFamily } from "../support/gpu.ts";
import { checkConv2d, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

/** Small whole numbers, whose sums are exact in any order: a split that is left out or counted twice shows. */
function someParts(splits: number, size: number): { parts: Float32Array; sums: Float32Array } {
  const parts = Float32Array.from({ length: splits * size }, (_, i) => ((i * 2_654_435_761) % 8191) - 4095);
  const sums = new Float32Array(size);
  parts.forEach((value, i) => (sums[i % size] += value));
  return { parts, sums };
}

describe("the sum of splits", () => {
  it.each([
    // One invocation a value, four splits a turn; 64 values a workgroup.
    { splits: 2, shape: [3, 3, 4, 16] },
    { splits: 5, shape: [1, 1, 4, 8] },
    { splits: 15, shape: [1, 1, 4, 65] },
    // Eight invocations, 32 splits a turn; 8 values a workgroup.
    { splits: 16, shape: [1, 1, 4, 9] },
    { splits: 35, shape: [3, 3, 4, 8] },
    { splits: 127, shape: [1, 1, 4, 8] },
    // 32 invocations, 128 splits a turn.
    { splits: 128, shape: [1, 1, 4, 7] },
    { splits: 300, shape: [3, 3, 4, 4] },
    // Single values.
    { splits: 3, shape: [5, 13] },
    { splits: 33, shape: [3, 7] },
    { splits: 129, shape: [9, 5] },
  ])("of $splits of $shape", async ({ splits, shape }) => {
    const size = shape.reduce((product, n) => product * n);
    const { parts, sums } = someParts(splits, size);
    const total = await withFamily("workgroup", () => sumSplits(fromData(parts, [splits, ...shape]), shape));
    expect(total.shape).toEqual(shape);
    expect(await total.data()).toEqual(sums);
  });

  it.each([6, 40, 140])("of %i goes where it is wanted, and nowhere else", async (splits) => {
    const { parts, sums } = someParts(splits, 4 * 70);
    const held = fromData(new Float32Array(4 * 90).fill(7), [4 * 90]);
    const into = held.range(0, [4, 70]);
    const total = await withFamily("workgroup", () => sumSplits(fromData(parts, [splits, 4, 70]), [4, 70], into));
    expect(total).toBe(into);
    const after = await held.data();
    expect(after.subarray(0, 4 * 70)).toEqual(sums);
    expect(after.subarray(4 * 70)).toEqual(new Float32Array(4 * 20).fill(7));
  });

  it("leaves out what a split has to fill its last vec4", async () => {
    const { parts, sums } = someParts(20, 8);
    const total = await withFamily("workgroup", () => sumSplits(fromData(parts, [20, 8]), [1, 1, 2, 3]));
    expect(await total.data()).toEqual(sums.subarray(0, 6));
  });
});

describe("the weight gradient of groups", () => {
  it.each<Case>([
    { x: [24, 13, 3, 8], weight: [3, 3, 1, 8], options: { groups: 8, padding: 1 } }, // a split an output row, by vec4
    { x: [3, 7, 5, 6], weight: [3, 3, 3, 10], options: { groups: 2, padding: 1 } }, // by single values, 270 a split
    { x: [9, 8, 2, 3], weight: [3, 1, 1, 3], options: { groups: 3, padding: [1, 0] } }, // 9 a split: no whole vec4s
  ])("x $x weight $weight $options", (shape) => checkConv2d(shape, "workgroup"));

  it("has many more invocations on real GPUs, whose loads wait for each other", async () => {
    const g: Geometry = { x: [128, 32, 2, 8], y: [128, 32, 2, 8], weight: [3, 3, 1, 8], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 8 }; // prettier-ignore
    const grids = async (family: KernelFamily): Promise<(readonly [string, number])[]> => {
      const encode = vi.spyOn(currentDevice(), "encode").mockImplementation(() => undefined);
      await withFamily(family, () => groupedWeightGradient(empty(g.x), empty(g.y), g));
      const grids = encode.mock.calls.map(([{ kernel, groups }]) => [kernel.source.name, groups[0]] as const);
      encode.mockRestore();
      return grids;
    };
    // 4096 output rows: 16 of them a split, or 2. Each split has 18 values.
    expect(await grids("workgroup")).toEqual([
      ["conv2d/grouped-weight-gradient", (2048 * 18) / 64],
      ["conv2d/sum-splits-workgroup", Math.ceil(18 / 8)],
    ]);
    expect(await grids("portable")).toEqual([
      ["conv2d/grouped-weight-gradient", (256 * 18) / 64],
      ["conv2d/sum-splits", 1],
    ]);
  });
});
