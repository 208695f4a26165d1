// A tensor that two convolutions read: the second gradient is added to the first by the kernel that computes it.
import { beforeAll, describe, expect, it } from "vitest";
import { add, currentDevice, mul, sum } from "../../engine/index.ts";
import type { Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { inputGradient } from "../../engine/ops/conv2d-launch.ts";
import { conv2d, type Conv2dOptions } from "../../engine/ops/conv2d.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withWinograd } from "../support/gpu.ts";
import { kindsOf, stored, type FloatType } from "../support/half.ts";
import { withMatrices } from "../support/matrices.ts";
import { randomArr } from "../support/random.ts";
import { expectClose, type Comparison } from "../support/tolerance.ts";
import { winogradAccuracy } from "../support/winograd.ts";

beforeAll(testDevice);

interface Layer {
  readonly weight: readonly [number, number, number, number];
  readonly options: Conv2dOptions & { stride?: number; padding?: number };
}

const wide: Layer = { weight: [3, 3, 16, 16], options: { padding: 1 } };
const strided: Layer = { weight: [3, 3, 16, 8], options: { stride: 2, padding: 1 } };
const shortcut: Layer = { weight: [1, 1, 16, 8], options: { stride: 2 } };
const offset: Layer = { weight: [1, 1, 16, 12], options: { stride: 3, padding: 1 } }; // sees every third pixel, from the second on

interface Pair {
  readonly name: string;
  readonly layers: readonly [Layer, Layer];
  readonly x: readonly [number, number, number, number];
}

const pairs: readonly (Pair & { readonly winograd: false | 2 | 4 })[] = [
  { name: "rows", layers: [wide, wide], winograd: false, x: [2, 8, 8, 16] },
  { name: "Winograd's tiles of 4", layers: [wide, wide], winograd: 4, x: [2, 9, 7, 16] },
  { name: "Winograd's tiles of 2", layers: [wide, wide], winograd: 2, x: [1, 5, 6, 16] },
  { name: "a strided block's two convolutions", layers: [strided, shortcut], winograd: false, x: [2, 8, 10, 16] },
  { name: "the same the other way around", layers: [shortcut, strided], winograd: false, x: [3, 7, 9, 16] },
  { name: "a stride of 3 and padding", layers: [wide, offset], winograd: false, x: [2, 7, 8, 16] },
];

/** Gradients of x and the numbers of kernels by name, of sum(conv2d(x, w1) dy1) + sum(conv2d(x, w2) dy2). */
async function gradients(x: Arr, layers: readonly Layer[], weights: Arr[], dys: Arr[], dtype: FloatType) {
  const input = toGpu(x, { dtype, requiresGrad: true });
  const parts = layers.map(({ options }, i) => {
    const y = conv2d(input, toGpu(weights[i]), options);
    return sum(mul(y, toGpu(dys[i], { dtype })));
  });
  const total = add(parts[0], parts[1]);
  const one = toGpu({ shape: [], data: [1] }, { dtype });
  const kernels = (await currentDevice().profile(() => total.backward(one))).map((row) => row.kernel);
  return { dx: await input.grad!.data(), kernels };
}

/** Against the sum of the exact gradients; returns the kernels that ran, none of which added two tensors. */
async function checkSum(
  { layers, x: shape }: Pair,
  dtype: FloatType,
  factors: FloatType,
  accuracy: (terms: number) => Accuracy,
  run: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<string[]> {
  const x = stored(randomArr(shape, 1), dtype);
  const weights = layers.map((layer, i) => stored(randomArr(layer.weight, 2 + i), factors));
  const wants = layers.map((layer, i) => reference.conv2d(x, weights[i], layer.options));
  const dys = wants.map((want, i) => stored(randomArr(want.shape, 4 + i), dtype));
  const exact = layers.map((layer, i) => reference.conv2dGradients(x, weights[i], dys[i], layer.options).dx);
  const want = { shape, data: exact[0].data.map((value, i) => value + exact[1].data[i]) };
  const got = await run(() => gradients(x, layers, weights, dys, dtype));
  const terms = layers.reduce((n, { weight: [R, S, , K] }) => n + R * S * K, 0);
  const how = { op: "conv2d dx twice", shapes: { x: shape }, options: { dtype } };
  expectClose(got.dx, want, { ...how, ...accuracy(terms) });
  expect(got.kernels.filter((kernel) => kernel.includes("a + b"))).toEqual([]);
  return got.kernels;
}

type Accuracy = Pick<Comparison, "kind" | "terms" | "amplification">;

/** Of direct sums. */
const direct =
  (dtype: FloatType) =>
  (terms: number): Accuracy => ({ kind: kindsOf("sum", dtype), terms });

describe.each(["f32", "f16"] as const)("two gradients of %s", (dtype) => {
  it.for(pairs)("by $name", async ({ winograd, ...pair }, context) => {
    needsSubgroupTiles(context);
    const accuracy = (terms: number): Accuracy =>
      winograd && dtype === "f32" ? winogradAccuracy(winograd, "forward", terms) : direct(dtype)(terms);
    await checkSum(pair, dtype, "f32", accuracy, (work) => withWinograd(winograd, work));
  });
});

describe("two gradients by other kernels", () => {
  const [rows, , , block] = pairs;

  it.each<{ pair: Pair; dtype: FloatType }>([
    { pair: block, dtype: "f32" },
    { pair: rows, dtype: "f16" },
  ])("of the portable family: $pair.name in $dtype", async ({ pair, dtype }) => {
    const kernels = await checkSum(pair, dtype, "f32", direct(dtype), (work) => withFamily("portable", work));
    expect(kernels.filter((kernel) => kernel.startsWith("conv2d/gather-portable")).length).toBeGreaterThan(1);
  });

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
});

describe("a gradient that is not the walk's own", () => {
  const x = randomArr([1, 6, 6, 16], 1);
  const weight = randomArr([3, 3, 16, 16], 2);
  const dy = randomArr([1, 6, 6, 16], 3);
  const { dx } = reference.conv2dGradients(x, weight, dy, { padding: 1 });

  it("is not added to: both inputs of an addition get the same one", async (context) => {
    needsSubgroupTiles(context);
    const got = await withFamily("subgroup", async () => {
      const input = toGpu(x, { requiresGrad: true });
      const upstream = toGpu(dy);
      // The shortcut's gradient is dy itself.
      add(conv2d(input, toGpu(weight), { padding: 1 }), input).backward(upstream);
      return { dx: await input.grad!.data(), dy: await upstream.data() };
    });
    expect(got.dy).toEqual(Float32Array.from(dy.data));
    const want = { shape: x.shape, data: dx.data.map((value, i) => value + dy.data[i]) };
    expectClose(got.dx, want, { op: "conv2d dx", shapes: { x: x.shape }, options: {}, kind: "sum", terms: 9 * 16 + 1 });
  });

  it("is not added to: what an earlier backward pass left", async (context) => {
    needsSubgroupTiles(context);
    const grads = await withFamily("subgroup", async () => {
      const input = toGpu(x, { requiresGrad: true });
      const run = () => conv2d(input, toGpu(weight), { padding: 1 }).backward(toGpu(dy));
      run();
      const first = input.grad!;
      const held = first.view(first.shape);
      run();
      return { first: await held.data(), both: await input.grad!.data() };
    });
    expect(grads.both).toEqual(grads.first.map((value) => Math.fround(2 * value)));
  });
});
