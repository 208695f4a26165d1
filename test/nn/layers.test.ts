// Layers on the device against the references: the kernels have their own tests, these check what the layers make of them.
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../engine/index.ts";
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  GELU,
  GlobalAvgPool,
  LeakyReLU,
  Linear,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  Tanh,
} from "../../nn/index.ts";
import type { OwnedTensor } from "../../nn/parameter.ts";
import { type Arr, fromFlat } from "../reference/array.ts";
import * as reference from "../reference/batch-norm.ts";
import { conv2d } from "../reference/conv2d.ts";
import * as elementwise from "../reference/elementwise.ts";
import { matmul } from "../reference/matmul.ts";
import { avgPool2d, globalAveragePool, maxPool2d } from "../reference/pooling.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

/** A parameter's or statistic's starting values, in our layout. */
const valuesOf = (tensor: OwnedTensor): Arr => fromFlat(tensor.shape, tensor.initialValues());

const shapeOf = (layer: Module, x: readonly number[]): readonly number[] => layer.traceShape(x, () => undefined);

/** Runs a layer, checks its announced shape, and reads the result. */
async function run(layer: Module, x: Arr): Promise<{ shape: readonly number[]; data: ArrayLike<number> }> {
  const y = scope(() => layer.forward(toGpu(x)));
  expect(shapeOf(layer, x.shape)).toEqual(y.shape);
  const result = { shape: y.shape, data: await y.data() };
  y.dispose();
  return result;
}

describe("Conv2d", () => {
  it.each([
    ["defaults", 5, 7, {}],
    ["stride and padding in both directions", 4, 8, { kernel: [3, 2], stride: [2, 1], padding: [1, 0] }],
    ["dilation, no bias", 3, 4, { kernel: 3, dilation: 2, padding: 2, bias: false }],
    ["groups", 8, 12, { kernel: 3, groups: 4, padding: 1 }],
  ] as const)("%s", async (_, inputs, outputs, options) => {
    using layer = new Conv2d(inputs, outputs, options).initialize(2);
    const x = randomArr([2, 7, 6, inputs], 1);
    const bias = layer.bias ? valuesOf(layer.bias) : undefined;
    const want = conv2d(x, valuesOf(layer.weight), options, bias);
    const terms = layer.weight.size / outputs + 1;
    expectClose(await run(layer, x), want, { op: "Conv2d", shapes: { x: x.shape }, options, terms });
  });

  it("refuses options and inputs that make no sense", () => {
    expect(() => new Conv2d(6, 8, { groups: 4 })).toThrow("Conv2d: 4 groups must divide 6 inputs and 8 outputs");
    expect(() => new Conv2d(0, 8)).toThrow("Conv2d: inputs must be a whole number from 1, not 0");
    expect(() => new Conv2d(1, 8, { stride: 0 })).toThrow("Conv2d: stride must be a whole number from 1, not 0");
    expect(() => shapeOf(new Conv2d(3, 8), [1, 8, 8, 4])).toThrow("Conv2d: needs [N,H,W,3], x is [1,8,8,4]");
  });
});

describe("Linear", () => {
  it.each([[true], [false]])("bias %s", async (bias) => {
    using layer = new Linear(37, 10, { bias }).initialize(3);
    const x = randomArr([5, 37], 2);
    const product = matmul(x, valuesOf(layer.weight));
    const want = layer.bias ? elementwise.add(product, valuesOf(layer.bias)) : product;
    expectClose(await run(layer, x), want, { op: "Linear", shapes: { x: x.shape }, terms: 38 });
  });
});

describe("BatchNorm2d", () => {
  const x = randomArr([3, 4, 5, 6], 5, { min: -2, max: 3 });
  const make = (): BatchNorm2d => {
    const layer = new BatchNorm2d(6, { momentum: 0.3, eps: 1e-3 });
    layer.weight.write(randomArr([6], 6, { min: 0.5, max: 2 }).data);
    layer.bias.write(randomArr([6], 7).data);
    layer.runningMean.write(randomArr([6], 8).data);
    layer.runningVar.write(randomArr([6], 9, { min: 0.5, max: 2 }).data);
    return layer;
  };
  const expected = (layer: BatchNorm2d, training: boolean): reference.BatchNormResult => {
    const host = (tensor: OwnedTensor): Arr => fromFlat(tensor.shape, tensor.hostValues()!);
    const [runningMean, runningVar] = [host(layer.runningMean), host(layer.runningVar)];
    const options = { training, momentum: 0.3, eps: 1e-3, runningMean, runningVar };
    return reference.batchNorm(x, host(layer.weight), host(layer.bias), options);
  };
  const how = { op: "BatchNorm2d", shapes: { x: x.shape }, terms: 60 };

  it("in training uses the batch's statistics, moves the running ones, and counts", async () => {
    using layer = make();
    const want = expected(layer, true);
    expectClose(await run(layer, x), want.y, how);
    expectClose({ shape: [6], data: await layer.runningMean.data() }, want.runningMean, how);
    expectClose({ shape: [6], data: await layer.runningVar.data() }, want.runningVar, how);
    expect(layer.numBatchesTracked.value).toBe(1);
  });

  it("in evaluation uses the running statistics and leaves them", async () => {
    using layer = make().eval();
    const want = expected(layer, false);
    const before = layer.runningMean.hostValues();
    expectClose(await run(layer, x), want.y, how);
    expect(await layer.runningMean.data()).toEqual(before);
    expect(layer.numBatchesTracked.value).toBe(0);
  });

  it("refuses options out of range", () => {
    expect(() => new BatchNorm2d(4, { eps: 0 })).toThrow("BatchNorm2d: eps must be above 0, not 0");
    expect(() => new BatchNorm2d(4, { momentum: 2 })).toThrow("BatchNorm2d: momentum must be in 0..1, not 2");
  });
});

describe("pooling", () => {
  const x = randomArr([2, 7, 6, 5], 11);
  it.each([
    ["MaxPool2d", new MaxPool2d(), maxPool2d(x, { kernel: 2 })],
    [
      "MaxPool2d",
      new MaxPool2d({ kernel: 3, stride: 2, padding: 1 }),
      maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
    ],
    [
      "AvgPool2d",
      new AvgPool2d({ kernel: [3, 2], stride: 2, padding: 1 }),
      avgPool2d(x, { kernel: [3, 2], stride: 2, padding: 1 }),
    ],
    ["GlobalAvgPool", new GlobalAvgPool(), globalAveragePool(x)],
  ] as [string, Module, Arr][])("%s", async (op, layer, want) => {
    expectClose(await run(layer, x), want, { op, shapes: { x: x.shape }, options: layer.toString(), terms: 42 });
  });
});

describe("activations", () => {
  const x = randomArr([3, 7], 12, { min: -3, max: 3 });
  it.each([
    [new ReLU(), elementwise.relu(x), "exact"],
    [new LeakyReLU({ slope: 0.25 }), elementwise.leakyRelu(x, 0.25), "add"],
    [new GELU(), elementwise.gelu(x), "erf"],
    [new SiLU(), elementwise.silu(x), ["exp", "div"]],
    [new Sigmoid(), elementwise.sigmoid(x), ["exp", "div"]],
    [new Tanh(), elementwise.tanh(x), "tanh"],
  ] as const)("%s", async (layer, want, kind) => {
    // Only in gelu does x multiply something with an absolute error.
    const scale = layer instanceof GELU ? { scale: x.data } : {};
    expectClose(await run(layer, x), want, { op: layer.typeName, shapes: { x: x.shape }, kind, at: x.data, ...scale });
  });
});

describe("Dropout", () => {
  const x = randomArr([40, 50], 13, { min: 1, max: 2 });
  const dropped = (y: ArrayLike<number>): boolean[] => Array.from(y, (value) => value === 0);

  it("in training drops its share and scales the rest, differently each time and in each layer", async () => {
    const layers = new Sequential(new Dropout(0.3), new Dropout(0.3)).initialize(7).layers;
    const first = (await run(layers[0], x)).data;
    const mask = dropped(first);
    const share = mask.filter(Boolean).length / mask.length;
    expect(Math.abs(share - 0.3)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / mask.length));
    const want = elementwise.dropout(
      x,
      fromFlat(
        x.shape,
        mask.map((drop) => (drop ? 0 : 1)),
      ),
      0.3,
    );
    expectClose(first, want, { op: "Dropout", shapes: { x: x.shape }, kind: ["add", "div"] });
    expect(dropped((await run(layers[0], x)).data)).not.toEqual(mask);
    expect(dropped((await run(layers[1], x)).data)).not.toEqual(mask);
    layers[0].reseed(7, "0");
    expect(dropped((await run(layers[0], x)).data)).toEqual(mask);
  });

  it("in evaluation hands x on", async () => {
    expect(Array.from((await run(new Dropout(0.3).eval(), x)).data)).toEqual([...x.data]);
    expect(() => new Dropout(1.5)).toThrow("Dropout: p must be in 0..1, not 1.5");
  });
});

describe("Flatten", () => {
  it("keeps the first axis and the order", async () => {
    const x = randomArr([2, 3, 4, 5], 14);
    const y = await run(new Flatten(), x);
    expect(y.shape).toEqual([2, 60]);
    expect(Array.from(y.data)).toEqual([...x.data]);
  });
});

describe("Sequential", () => {
  it("takes batch norm's statistics in the convolution, with the same result", async () => {
    using net = new Sequential(
      new Conv2d(4, 8, { padding: 1, bias: false }),
      new BatchNorm2d(8),
      new ReLU(),
    ).initialize(4);
    const x = randomArr([2, 6, 5, 4], 15);
    const [conv, norm, relu] = net.layers;
    const fused = await run(net, x);
    const plain = scope(() => relu.forward(norm.forward(conv.forward(toGpu(x)))));
    expectClose(
      fused,
      { shape: plain.shape, data: await plain.data() },
      { op: "Sequential", shapes: { x: x.shape }, terms: 60 },
    );
  });
});
