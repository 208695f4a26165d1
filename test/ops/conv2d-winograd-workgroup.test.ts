// Winograd on real GPUs: its products in tiles of workgroup memory. The transforms are those of every family.
import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, scope } from "../../engine/index.ts";
import type { Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { winogradTile } from "../../engine/ops/conv2d-winograd-choice.ts";
import { choosePlaneTile, multiplyPlanes } from "../../engine/ops/conv2d-winograd-workgroup.ts";
import { splitSum, type TileName } from "../../engine/ops/conv2d-workgroup.ts";
import { inputGradient } from "../../engine/ops/conv2d-launch.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import * as reference from "../reference/conv2d.ts";
import { matmul } from "../reference/matmul.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withWinograd } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { winogradAccuracy } from "../support/winograd.ts";
import { checkPartials, inTiles } from "./conv2d-checks.ts";

beforeAll(testDevice);

/** Planes, rows, depth, columns: all but planes multiples of 4. Every tile is a compile of seconds on a software GPU, not every size. */
type Size = [planes: number, rows: number, depth: number, columns: number];
const straight: Partial<Record<TileName, Size[]>> = {
  "64x64": [
    [2, 68, 20, 68],
    [3, 4, 4, 4],
    [1, 60, 32, 64],
  ],
  "128x128": [
    [1, 132, 24, 132],
    [2, 128, 16, 124],
  ],
  "256x64": [
    [2, 260, 12, 60],
    [1, 252, 16, 64],
  ],
};
const turned: Partial<Record<TileName, Size[]>> = {
  "64x64": [
    [2, 68, 400, 60], // four splits, the last of one pair of strips
    [3, 4, 4, 68],
  ],
  "128x128": [
    [1, 124, 300, 132],
    [2, 132, 8, 128],
  ],
  "128x64": [[2, 132, 140, 68]],
};
const cases = [straight, turned].flatMap((sizes, transposed) =>
  Object.entries(sizes).flatMap(([tile, list]) => list.map((size) => ({ tile, size, transposed: transposed === 1 }))),
);

describe("products", () => {
  it.each(cases)("tile $tile, size $size, transposed $transposed", async ({ tile, size, transposed }) => {
    const [planes, rows, depth, columns] = size;
    const a = randomArr(transposed ? [planes, depth, rows] : [planes, rows, depth], 1);
    const b = randomArr([planes, depth, columns], 2);
    const op = transposed ? "winograd.weightGradient" : "winograd.forward";
    const shape = `${planes}x${rows}x${depth}x${columns}`;
    const { choices } = currentDevice();
    choices.settle({ op, shape }, tile);
    const y = await withFamily("workgroup", () => multiplyPlanes(toGpu(a), toGpu(b), transposed));
    expect(choices.used[`${op} ${shape}`]).toBe(tile);
    const want = matmul(a, b, { transposeA: transposed });
    const how = { op, shapes: { a: a.shape, b: b.shape }, options: { tile } };
    expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, terms: depth });
  });

  it("share the sum between workgroups", () => {
    expect(splitSum(400, 4, [64, 64])).toEqual({ splits: 4, pairs: 8 });
    // ResNet-18's first and last stage, 512 images.
    const first = { planes: 36, rows: 64, columns: 64, depth: 32_768 };
    expect(choosePlaneTile(first, true)).toBe("64x64");
    expect(splitSum(32_768, 36, [64, 64])).toEqual({ splits: 57, pairs: 36 });
    const last = { planes: 36, rows: 512, columns: 512, depth: 512 };
    expect(choosePlaneTile(last, true)).toBe("128x128");
    expect(splitSum(512, 36 * 16, [128, 128])).toEqual({ splits: 1, pairs: 32 });
    expect(choosePlaneTile({ planes: 36, rows: 32_768, columns: 64, depth: 64 }, false)).toBe("256x64");
  });
});

/** Runs `work` on these kernels with Winograd's tiles of one size. */
const withTiles = <T>(tile: 2 | 4, work: () => T | Promise<T>): Promise<T> =>
  withFamily("workgroup", async () => {
    const device = currentDevice();
    const before = device.winograd;
    device.winograd = tile;
    try {
      return await work();
    } finally {
      device.winograd = before;
    }
  });

describe.each([4, 2] as const)("tiles of %i pixels", (tile) => {
  const [C, K] = [8, 12];
  const weight = randomArr([3, 3, C, K], 2);
  const accuracy = (products: number) => winogradAccuracy(tile, "forward", products);

  it("all three passes", async () => {
    const x = randomArr([2, 9, 7, C], 1);
    const want = reference.conv2d(x, weight, { padding: 1 });
    const dy = randomArr(want.shape, 3);
    const inputs = [toGpu(x, { requiresGrad: true }), toGpu(weight, { requiresGrad: true })];
    const y = await withTiles(tile, () => {
      const y = conv2d(inputs[0], inputs[1], { padding: 1 });
      y.backward(toGpu(dy));
      return y;
    });
    const exact = reference.conv2dGradients(x, weight, dy, { padding: 1 });
    const [dx, dweight] = await Promise.all(inputs.map(({ grad }) => grad!.data()));
    const how = { shapes: { x: x.shape, weight: weight.shape }, options: { tile } };
    const imageTiles = 2 * Math.ceil(9 / tile) * Math.ceil(7 / tile);
    const sums = winogradAccuracy(tile, "weightGradient", imageTiles);
    expectClose(await y.data(), want, { op: "winograd", ...how, ...accuracy(C) });
    expectClose(dx, exact.dx, { op: "winograd dx", ...how, ...accuracy(K) });
    expectClose(dweight, exact.dweight, { op: "winograd dweight", ...how, ...sums });
  });

  it("batch norm's partial sums, and a gradient that is added to", async () => {
    const x = randomArr([2, 8, 12, C], 1);
    const want = reference.conv2d(x, weight, { padding: 1 });
    const [dy, before] = [randomArr(want.shape, 3), randomArr(x.shape, 4)];
    const g: Geometry = { x: [2, 8, 12, C], y: [2, 8, 12, K], weight: [3, 3, C, K], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 }; // prettier-ignore
    const held = toGpu(before);
    const { y, partials, dx } = await withTiles(tile, () => ({
      ...conv2d(toGpu(x), toGpu(weight), { padding: 1, stats: true }),
      dx: inputGradient(toGpu(dy), toGpu(weight), g, null, held),
    }));
    const how = { op: "winograd", shapes: { x: x.shape, weight: weight.shape }, options: { tile } };
    const { terms, ...rounding } = accuracy(C);
    expectClose(await y.data(), want, { ...how, terms, ...rounding });
    expect(partials!.rowsPerTile).toBe(tile ** 2);
    await checkPartials(partials!, inTiles(want, tile), terms, { ...how, ...rounding });
    expect(dx).toBe(held);
    const { dx: own } = reference.conv2dGradients(x, weight, dy, { padding: 1 });
    const sum = own.data.map((value, i) => value + before.data[i]);
    expectClose(await dx.data(), sum, { ...how, op: "winograd dx, added", ...accuracy(K + 1) });
  });
});

it("does not take transformed weights that the kernels for software GPUs kept in their order", async (context) => {
  needsSubgroupTiles(context);
  const [x, weight, dy] = [
    [1, 8, 8, 8],
    [3, 3, 8, 8],
    [1, 8, 8, 8],
  ].map((shape, i) => randomArr(shape, i + 1));
  const input = toGpu(x, { requiresGrad: true });
  await withWinograd(4, () =>
    scope(() => {
      const y = conv2d(input, toGpu(weight), { padding: 1 });
      currentDevice().family = "workgroup";
      y.backward(toGpu(dy));
    }),
  );
  const { dx } = reference.conv2dGradients(x, weight, dy, { padding: 1 });
  const accuracy = winogradAccuracy(4, "forward", 8);
  expectClose(await input.grad!.data(), dx, { op: "winograd dx", shapes: { x: x.shape }, options: {}, ...accuracy });
});

describe("the choice on real GPUs", () => {
  const layer = (N: number, size: number, C: number, K = C, stride = 1): Geometry => ({
    x: [N, size * stride, size * stride, C],
    y: [N, size, size, K],
    weight: [3, 3, C, K],
    stride: [stride, stride],
    padding: [1, 1],
    dilation: [1, 1],
    groups: 1,
  });
  it.each([
    ["ResNet-18's stages", layer(128, 32, 64), 4],
    ["", layer(128, 16, 128), 4],
    ["", layer(128, 8, 256), 4],
    ["", layer(128, 4, 512), 4],
    ["the first of a stage", layer(128, 16, 64, 128, 2), null],
    ["few channels", layer(128, 32, 4, 64), null],
    ["tiles that would be mostly padding", layer(512, 2, 512), null],
    ["too few tiles to pay for the weights' transform", layer(4, 4, 512), null],
  ])("%s", (_why, g, tile) => withFamily("workgroup", () => expect(winogradTile(g)).toBe(tile)));
});
