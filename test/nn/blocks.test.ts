// Residual blocks in training against their definition, and what they keep in evaluation.
import { beforeAll, describe, expect, it } from "vitest";
import { noGrad, type Device, type Tensor } from "../../engine/index.ts";
import { BasicBlock, Bottleneck, type Conv2d, type Module } from "../../nn/index.ts";
import type { OwnedTensor } from "../../nn/parameter.ts";
import { type Arr, fromFlat } from "../reference/array.ts";
import * as reference from "../reference/batch-norm.ts";
import { conv2d } from "../reference/conv2d.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

const valuesOf = (tensor: OwnedTensor): Arr => fromFlat(tensor.shape, tensor.initialValues());
const shapeOf = (block: Module, x: readonly number[]): readonly number[] => block.traceShape(x, () => undefined);

/** The definition of a basic block in training, of x, conv1, conv2 and the projection (or without: the identity). */
function basicBlock([x, conv1, conv2, projection]: Arr[], stride: number): Arr {
  const norm = (y: Arr, options: { add?: Arr; relu: boolean }): Arr => {
    const C = y.shape[3];
    const [ones, zeros] = [fromFlat([C], new Float64Array(C).fill(1)), fromFlat([C], new Float64Array(C))];
    return reference.batchNorm(y, ones, zeros, { training: true, runningMean: zeros, runningVar: ones, ...options }).y;
  };
  const y = norm(conv2d(x, conv1, { stride, padding: 1 }), { relu: true });
  const add = projection ? norm(conv2d(x, projection, { stride }), { relu: false }) : x;
  return norm(conv2d(y, conv2, { padding: 1 }), { add, relu: true });
}

describe("residual blocks", () => {
  it.each([
    ["identity", 4, 1],
    ["projection", 8, 2],
  ] as const)("BasicBlock with %s: result and gradients", async (_, width, stride) => {
    using block = new BasicBlock(4, width, stride).initialize(21);
    const x = randomArr([2, 6, 5, 4], 16);
    const projection = block.downsample?.layers[0] as Conv2d | undefined;
    const weights = [block.conv1.weight, block.conv2.weight, ...(projection ? [projection.weight] : [])];
    const inputs = [x, ...weights.map(valuesOf)];
    const want = basicBlock(inputs, stride);
    const how = { op: "BasicBlock", shapes: { x: x.shape }, terms: 9 * width };
    const gpuX = toGpu(x, { requiresGrad: true });
    const y = block.forward(gpuX);
    expect(shapeOf(block, x.shape)).toEqual(y.shape);
    expectClose({ shape: y.shape, data: await y.data() }, want, how);

    const dy = randomArr(want.shape, 17);
    y.backward(toGpu(dy));
    const leaves: Tensor[] = [gpuX, ...weights];
    for (const [i, leaf] of leaves.entries()) {
      const sampled = sampledGradient((all) => basicBlock(all, stride), inputs, i, dy, { count: 12, seed: 18 });
      const got = pick(await leaf.grad!.data(), sampled.indices);
      expectClose(got, sampled, { ...how, op: `BasicBlock gradient ${i}`, terms: 9 * width * 60 });
    }
  });

  it("Bottleneck runs, and every parameter gets a gradient", async () => {
    using block = new Bottleneck(8, 4, 2).initialize(22);
    const x = toGpu(randomArr([2, 5, 6, 8], 19));
    const y = block.forward(x);
    expect(y.shape).toEqual([2, 3, 3, 16]);
    expect(shapeOf(block, x.shape)).toEqual(y.shape);
    y.backward(toGpu(randomArr(y.shape, 20)));
    for (const [name, parameter] of block.namedParameters()) {
      const gradient = await parameter.grad?.data();
      expect(
        gradient?.some((value) => value !== 0 && Number.isFinite(value)),
        name,
      ).toBe(true);
    }
  });

  it("in evaluation without gradients keeps nothing but the result", async () => {
    using block = new BasicBlock(4, 8, 2).initialize(23).eval();
    const x = toGpu(randomArr([1, 6, 6, 4], 24));
    block.forward(x).dispose(); // takes the parameters to the device
    const y = noGrad(() => block.forward(x));
    const before = device.memory().tensors;
    const z = noGrad(() => block.forward(x));
    expect(device.memory().tensors).toBe(before + 1);
    expect(await z.data()).toEqual(await y.data());
    [x, y, z].forEach((tensor) => tensor.dispose());
  });
});
