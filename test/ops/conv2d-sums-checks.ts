// What the sum of two convolutions' gradients must pass with every family of kernels: shared by the tests of them.
import { expect } from "vitest";
import { add, currentDevice, mul, sum } from "../../engine/index.ts";
import { conv2d, type Conv2dOptions } from "../../engine/ops/conv2d.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/conv2d.ts";
import { toGpu } from "../support/gpu.ts";
import { kindsOf, stored, type FloatType } from "../support/half.ts";
import { randomArr } from "../support/random.ts";
import { expectClose, type Comparison } from "../support/tolerance.ts";

export interface Layer {
  readonly weight: readonly [number, number, number, number];
  readonly options: Conv2dOptions & { stride?: number; padding?: number };
}

export interface Pair {
  readonly name: string;
  readonly layers: readonly [Layer, Layer];
  readonly x: readonly [number, number, number, number];
}

const strided: Layer = { weight: [3, 3, 16, 8], options: { stride: 2, padding: 1 } };
const shortcut: Layer = { weight: [1, 1, 16, 8], options: { stride: 2 } };
/** A strided block's two convolutions. */
export const block: Pair = {
  name: "a strided block's two convolutions",
  layers: [strided, shortcut],
  x: [2, 8, 10, 16],
};

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
export async function checkSum(
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

export type Accuracy = Pick<Comparison, "kind" | "terms" | "amplification">;

/** Of direct sums. */
export const direct =
  (dtype: FloatType) =>
  (terms: number): Accuracy => ({ kind: kindsOf("sum", dtype), terms });
