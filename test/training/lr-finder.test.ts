// The range test on a real trainer: what it measures, when it stops, and that it leaves no trace.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scope, type Device } from "../../engine/index.ts";
import { Dropout, Flatten, Linear, resnet8, Sequential, type Module } from "../../nn/index.ts";
import {
  Adam,
  evaluate,
  findLearningRate,
  parseAugment,
  RangeTestError,
  SGD,
  Trainer,
  type DeviceDataset,
  type LrFinderOptions,
  type TrainerOptions,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTest, tinyTrain } from "../support/tiny-data.ts";

let device: Device;
let train: DeviceDataset;
beforeAll(async () => {
  device = await testDevice();
  train = tinyTrain(20);
});
afterAll(() => train.dispose());

type Setup = Partial<TrainerOptions> & { lr?: number; kind?: "sgd" | "adam"; net?: () => Module };

function setUp({ lr = 0.05, kind = "sgd", net = () => resnet8({ classes: 10, seed: 1 }), ...options }: Setup = {}) {
  const model = net();
  const parameters = model.parameters();
  const optimizer =
    kind === "sgd" ? new SGD(parameters, { lr, momentum: 0.9, weightDecay: 5e-4 }) : new Adam(parameters, { lr });
  const trainer = new Trainer({ model, optimizer, batchSize: 8, ...options });
  return Object.assign(trainer, {
    [Symbol.dispose]: () => {
      trainer.dispose();
      optimizer.dispose();
      model.dispose();
    },
  });
}

/** A net without batch norm, whose loss blows up when it is told to. */
const linear = (): Module => new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);

const SHORT: LrFinderOptions = { startLr: 1e-4, endLr: 1, iterations: 12 };

/** Everything that training reads, to the bit. */
async function stateOf(trainer: Trainer): Promise<string> {
  const { model, optimizer } = trainer;
  const bits = (_: string, value: unknown): unknown => {
    if (value instanceof Map) return [...(value as Map<string, unknown>)];
    if (!ArrayBuffer.isView(value)) return value;
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  };
  const state = {
    snapshot: await trainer.snapshot(),
    rates: [optimizer.lr, optimizer.momentum, ...optimizer.groupLrs],
    modes: model.modules().map((module) => [module.training, module instanceof Dropout ? module.step : 0]),
    trained: model.parameters().map((parameter) => parameter.requiresGrad),
  };
  return JSON.stringify(state, bits);
}

async function fit(trainer: Trainer, epochs: number): Promise<number[]> {
  const losses: number[] = [];
  const options = { epochs, startFrom: trainer.position };
  for await (const event of trainer.fit(train, options)) if (event.type === "step") losses.push(event.loss);
  return losses;
}

describe("findLearningRate measures", () => {
  it("the losses of plain steps at its rates, over several epochs", async () => {
    const augment = parseAugment("pad-crop:2,flip");
    using found = setUp({ augment });
    const progress: number[] = [];
    const options = { ...SHORT, diverge: 0, onProgress: ({ done }: { done: number }) => progress.push(done) };
    const { lrs, losses, stopped, settings } = await findLearningRate(found, train, options);
    expect([lrs[0], lrs[11], lrs.length, losses.length]).toEqual([1e-4, 1, 12, 12]);
    expect(progress).toEqual(lrs.map((_, k) => k + 1));
    expect(stopped).toEqual({ reason: "done", iteration: 11, message: "all 12 iterations are done" });
    expect(settings).toMatchObject({ ...SHORT, mode: "exp", loss: "train" });
    // 20 images in batches of 8: the fourth epoch ends with the twelfth step.
    using plain = setUp({ augment });
    const wanted: number[] = [];
    const schedule = (step: number): { lr: number } => ({ lr: lrs[step] });
    for await (const event of plain.fit(train, { epochs: 4, schedule }))
      if (event.type === "step") wanted.push(event.loss);
    expect(losses).toEqual(wanted);
  });

  it("the validation loss after each update", async () => {
    using validation = tinyTest(12);
    using found = setUp({ net: linear });
    const options: LrFinderOptions = { startLr: 0, endLr: 3e-4, iterations: 10, mode: "linear", validation };
    const { losses, lrs, settings } = await findLearningRate(found, train, options);
    expect(settings.loss).toBe("validation");
    expect(lrs.map((lr) => Number(lr.toPrecision(9)))).toEqual(
      lrs.map((_, k) => Number(((k * 3e-4) / 9).toPrecision(9))),
    );
    const wanted: number[] = [];
    for (let step = 0; step < 3; step++) {
      const indices = found.order(train, 1).subarray(8 * step, 8 * step + 8);
      scope(() => void found.step(train, indices, { epoch: 1, step }, { lr: lrs[step] }));
      wanted.push((await evaluate(found.model, validation, { batchSize: 8 })).loss);
    }
    expect(losses.slice(0, 3)).toEqual(wanted);
    expect(new Set(wanted).size).toBe(3);
  });
});

describe("findLearningRate leaves no trace", () => {
  const recipes: [string, Setup][] = [
    ["SGD", { augment: parseAugment("pad-crop:2,flip,cutout:8") }],
    ["Adam, averaged, accumulated", { kind: "adam", lr: 1e-3, ema: { decay: 0.9 }, accumulate: 2, clipGrad: 1 }],
    ["lookahead", { net: linear, lr: 1e-3, lookahead: { every: 2, decay: () => 0.5 } }],
    [
      "dropout",
      { lr: 1e-3, net: () => new Sequential(new Flatten(), new Dropout(0.5), new Linear(3072, 10)).initialize(1) },
    ],
  ];
  it.each(recipes)("in a new trainer and in the middle of a run: %s", async (_, recipe) => {
    using plain = setUp(recipe);
    const wanted = [...(await fit(plain, 1)), ...(await fit(plain, 2))];
    using found = setUp(recipe);
    const losses: number[] = [];
    for (const epochs of [1, 2]) {
      const before = await stateOf(found);
      await findLearningRate(found, train, { ...SHORT, startLr: 1e-6, endLr: 0.01, diverge: 0 });
      expect(await stateOf(found)).toBe(before);
      losses.push(...(await fit(found, epochs)));
    }
    expect(losses).toEqual(wanted);
    expect(await stateOf(found)).toBe(await stateOf(plain));
  });

  it("in modes that are not training's, and where beforeStep freezes", async () => {
    const model = resnet8({ classes: 10, seed: 1 });
    const [first] = model.parameters();
    using found = setUp({ net: () => model, beforeStep: ({ step }) => (first.requiresGrad = step < 2) });
    model.eval();
    const before = await stateOf(found);
    await findLearningRate(found, train, SHORT);
    expect(await stateOf(found)).toBe(before);
  });

  it("after the loss was lost", async () => {
    using found = setUp({ net: linear, lr: 0.01 });
    await fit(found, 1);
    const before = await stateOf(found);
    const { stopped, losses, suggestion } = await findLearningRate(found, train, {
      startLr: 1e-6,
      endLr: 1e30,
      iterations: 60,
      diverge: 0,
    });
    expect(stopped.reason).toBe("not-finite");
    expect(stopped.message).toMatch(/^stopped at \d\.\d\dE\+\d\d: the loss is (NaN|infinite)$/);
    expect(losses).toHaveLength(stopped.iteration + 1);
    expect(losses.slice(0, -1).every(Number.isFinite)).toBe(true);
    expect(suggestion).toBeLessThan(1);
    expect(await stateOf(found)).toBe(before);
  });

  it("when it is aborted, or its progress callback throws", async () => {
    using found = setUp();
    const before = await stateOf(found);
    const controller = new AbortController();
    const { stopped, losses, suggestion } = await findLearningRate(found, train, {
      ...SHORT,
      signal: controller.signal,
      onProgress: ({ done }) => done === 3 && controller.abort(),
    });
    expect(losses.length).toBeLessThan(12);
    expect(stopped).toEqual({
      reason: "interrupted",
      iteration: losses.length - 1,
      message: `interrupted after ${losses.length} of 12 iterations`,
    });
    expect(suggestion).toBeNaN();
    expect(await stateOf(found)).toBe(before);
    const bad = { ...SHORT, onProgress: () => { throw new Error("mine"); } }; // prettier-ignore
    await expect(findLearningRate(found, train, bad)).rejects.toThrow("mine");
    expect(await stateOf(found)).toBe(before);
  });

  it("in memory", async () => {
    using found = setUp();
    await findLearningRate(found, train, SHORT);
    const before = device.memory();
    await findLearningRate(found, train, SHORT);
    expect(device.memory().tensors).toBe(before.tensors);
    expect(device.memory().bytes).toBe(before.bytes);
  });
});

describe("findLearningRate stops", () => {
  it("where the loss diverges, whatever was under way by then", async () => {
    using found = setUp({ net: linear });
    const { stopped, losses, smoothed } = await findLearningRate(found, train, {
      startLr: 1e-5,
      endLr: 100,
      iterations: 40,
    });
    expect(stopped.reason).toBe("diverged");
    expect(losses).toHaveLength(stopped.iteration + 1);
    expect(stopped.iteration).toBeLessThan(39);
    expect(smoothed.at(-1)!).toBeGreaterThan(4 * Math.min(...smoothed));
    for (const value of smoothed.slice(0, -1)) expect(value).toBeLessThan(4 * smoothed[0]);
  });

  it("with one line that helps where it diverges at once, keeping what it saw", async () => {
    using found = setUp({ net: linear });
    const before = await stateOf(found);
    const error: unknown = await findLearningRate(found, train, { startLr: 50, endLr: 100, iterations: 20 }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RangeTestError);
    const { message, result } = error as RangeTestError;
    expect(message).toMatch(
      /^findLearningRate: the loss broke down at once \(\d.* to \d.* in \d iterations, from 5\.00E\+01\): lower --start-lr$/,
    );
    expect(result.losses.length).toBeGreaterThan(1);
    expect(result.suggestion).toBeNaN();
    expect(await stateOf(found)).toBe(before);
  });

  it("with one line where the weights are broken from the start", async () => {
    using found = setUp({ net: linear, loss: (logits) => logits.sum().mul(Infinity) });
    await expect(findLearningRate(found, train, SHORT)).rejects.toThrow(
      /^findLearningRate: the loss is -?(NaN|Infinity) before any update: the weights or the images are not finite/,
    );
  });

  it("before it starts where an option is wrong", async () => {
    using found = setUp({ net: linear });
    const wrong: [LrFinderOptions, string][] = [
      [{ startLr: 0 }, "startLr must be above 0, got 0"],
      [{ startLr: -1, mode: "linear" }, "startLr must be at least 0, got -1"],
      [{ startLr: 1, endLr: 1 }, "endLr must be above startLr 1, got 1"],
      [{ endLr: Infinity }, "endLr must be above startLr 1e-7, got Infinity"],
      [{ iterations: 9 }, "iterations must be a whole number from 10, got 9"],
      [{ iterations: 10.5 }, "iterations must be a whole number from 10, got 10.5"],
      [{ smooth: 1.1 }, "smooth must be between 0 and 1, got 1.1"],
      [{ diverge: 1 }, "diverge must be above 1, or 0 for never, got 1"],
      [{ mode: "log" as "exp" }, 'mode must be "exp" or "linear", got log'],
      [{ method: "best" as "valley" }, "method must be one of valley, steepest, minimum, slide, got best"],
    ];
    for (const [options, message] of wrong) {
      await expect(findLearningRate(found, train, options)).rejects.toThrow(`findLearningRate: ${message}`);
    }
  });
});
