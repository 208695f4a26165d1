import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { noGrad, scope, type Device } from "../../engine/index.ts";
import { CompiledKernel } from "../../engine/gpu/kernel.ts";
import { resnet8, type ResNet } from "../../nn/index.ts";
import { evaluate, type DeviceDataset } from "../../training/index.ts";
import { compileEvaluation } from "../../training/evaluate.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTest } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

const COUNT = 21;
/** Products in the sums of resnet8's widest convolutions, one after the other. */
const PRODUCTS = 7 * 9 * 64;
let device: Device;
let model: ResNet;
let test: DeviceDataset;
beforeAll(async () => {
  device = await testDevice();
  model = resnet8({ classes: 10, seed: 4 });
  test = tinyTest(COUNT);
});
afterAll(() => {
  model.dispose();
  test.dispose();
});

/** All logits at once, in evaluation mode. */
async function logitsOf(): Promise<number[][]> {
  model.eval();
  const logits = noGrad(() => scope(() => model.forward(test.images(Array.from({ length: COUNT }, (_, i) => i)))));
  model.train();
  const values = (await logits.array()) as number[][];
  logits.dispose();
  return values;
}

const crossEntropyOf = (row: readonly number[], label: number): number => {
  const largest = Math.max(...row);
  return Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0)) + largest - row[label];
};

describe("evaluate", () => {
  it("measures the whole set where the last batch is not full", async () => {
    const rows = await logitsOf();
    const labels = [...test.labels];
    const predictions = rows.map((row) => row.indexOf(Math.max(...row)));
    const loss = rows.reduce((sum, row, i) => sum + crossEntropyOf(row, labels[i]), 0) / COUNT;
    for (const batchSize of [8, 128]) {
      const result = await evaluate(model, test, { batchSize, logits: true });
      expect(result.count).toBe(COUNT);
      expectClose([result.loss], [loss], { op: "evaluate", shapes: {}, options: { batchSize }, terms: PRODUCTS });
      expect([...result.predictions]).toEqual(predictions);
      expect(result.accuracy).toBe(predictions.filter((p, i) => p === labels[i]).length / COUNT);
      expect(result.logits).toHaveLength(COUNT * 10);
      const logits = { op: "evaluate", shapes: {}, options: { batchSize }, terms: PRODUCTS };
      expectClose(result.logits!, rows.flat(), logits);
    }
  });

  it("has its kernels compiled by compileEvaluation, which changes nothing", async () => {
    const compile = vi.spyOn(CompiledKernel.prototype, "compile");
    const get = vi.spyOn(device.kernels, "get");
    try {
      const before = device.memory().bytes;
      model.train();
      await compileEvaluation(model, test, { batchSize: 8, tta: "mirror" });
      expect(model.modules().every(({ training }) => training)).toBe(true);
      expect(device.memory().bytes).toBe(before);
      const compiled = new Set(compile.mock.contexts.map((kernel) => (kernel as CompiledKernel).label));
      get.mockClear();
      await evaluate(model, test, { batchSize: 8, tta: "mirror" });
      const used = new Set(get.mock.results.map(({ value }) => (value as CompiledKernel).label));
      const layers = [...used].filter((label) => /^(conv2d|batch-norm|winograd)/.test(label));
      expect(layers.length).toBeGreaterThan(1);
      expect(layers.filter((label) => !compiled.has(label))).toEqual([]);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it("counts by class", async () => {
    const { confusion, perClass, predictions } = await evaluate(model, test, { batchSize: 8 });
    expect(confusion.flat().reduce((sum, n) => sum + n, 0)).toBe(COUNT);
    predictions.forEach((prediction, i) => expect(confusion[test.labels[i]][prediction]).toBeGreaterThan(0));
    perClass.forEach((row, c) => {
      expect(row.class).toBe(test.classes[c]);
      expect(row.count).toBe([...test.labels].filter((label) => label === c).length);
      expect(row.correct).toBe(confusion[c][c]);
      expect(row.accuracy).toBe(row.count === 0 ? 0 : row.correct / row.count);
    });
  });

  it("puts each module's mode back, moves no statistics, and keeps no memory", async () => {
    model.train();
    model.bn1.training = false;
    const before = { ...device.memory(), mean: await model.bn1.runningMean.data() };
    await evaluate(model, test, { batchSize: 8, logits: true });
    expect([model.training, model.bn1.training, model.layer1.training]).toEqual([true, false, true]);
    expect(device.memory().tensors).toBe(before.tensors);
    expect(await model.bn1.runningMean.data()).toEqual(before.mean);
    model.train();
  });

  it("passes a failed read on, once, and keeps no memory", async () => {
    const before = device.memory().tensors;
    const read = vi
      .spyOn(device, "read")
      .mockImplementation(() => Promise.reject(new Error("GPU: the device was lost")));
    await expect(evaluate(model, test, { batchSize: 8, logits: true })).rejects.toThrow("GPU: the device was lost");
    read.mockRestore();
    expect(device.memory().tensors).toBe(before);
  });

  it("refuses a model with too few classes and a batch of nothing", async () => {
    const small = resnet8({ classes: 4 });
    await expect(evaluate(small, test)).rejects.toThrow("evaluate: the model has 4 classes, the data has 10");
    await expect(evaluate(model, test, { batchSize: 0 })).rejects.toThrow("batchSize 0");
    small.dispose();
  });
});
