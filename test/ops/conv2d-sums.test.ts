// A tensor that two convolutions read: the second gradient is added to the first by the kernel that computes it.
import { beforeAll, describe, expect, it } from "vitest";
import { add } from "../../engine/index.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import * as reference from "../reference/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withWinograd } from "../support/gpu.ts";
import type { FloatType } from "../support/half.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { winogradAccuracy } from "../support/winograd.ts";
import { block, checkSum, direct, type Accuracy, type Layer, type Pair } from "./conv2d-sums-checks.ts";

beforeAll(testDevice);

const wide: Layer = { weight: [3, 3, 16, 16], options: { padding: 1 } };
const offset: Layer = { weight: [1, 1, 16, 12], options: { stride: 3, padding: 1 } }; // sees every third pixel, from the second on

const pairs: readonly (Pair & { readonly winograd: false | 2 | 4 })[] = [
  { name: "rows", layers: [wide, wide], winograd: false, x: [2, 8, 8, 16] },
  { name: "Winograd's tiles of 4", layers: [wide, wide], winograd: 4, x: [2, 9, 7, 16] },
  { name: "Winograd's tiles of 2", layers: [wide, wide], winograd: 2, x: [1, 5, 6, 16] },
  { ...block, winograd: false },
  {
    name: "the same the other way around",
    layers: [block.layers[1], block.layers[0]],
    winograd: false,
    x: [3, 7, 9, 16],
  },
  { name: "a stride of 3 and padding", layers: [wide, offset], winograd: false, x: [2, 7, 8, 16] },
];

describe.each(["f32", "f16"] as const)("two gradients of %s", (dtype) => {
  it.for(pairs)("by $name", async ({ winograd, ...pair }, context) => {
    needsSubgroupTiles(context);
    const accuracy = (terms: number): Accuracy =>
      winograd && dtype === "f32" ? winogradAccuracy(winograd, "forward", terms) : direct(dtype)(terms);
    await checkSum(pair, dtype, "f32", accuracy, (work) => withWinograd(winograd, work));
  });
});

describe("two gradients by other kernels", () => {
  it.each<{ pair: Pair; dtype: FloatType }>([
    { pair: block, dtype: "f32" },
    { pair: pairs[0], dtype: "f16" },
  ])("of the portable family: $pair.name in $dtype", async ({ pair, dtype }) => {
    const kernels = await checkSum(pair, dtype, "f32", direct(dtype), (work) => withFamily("portable", work));
    expect(kernels.filter((kernel) => kernel.startsWith("conv2d/gather-portable")).length).toBeGreaterThan(1);
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
