// Mixed precision: f16 activations, dynamic loss scaling, skipped steps.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { currentDevice, scope, type Tensor } from "../../engine/index.ts";
import { Conv2d, Flatten, GELU, Linear, resnet8, Sequential, type Module } from "../../nn/index.ts";
import {
  Adam,
  constant,
  crossEntropy,
  LossScaler,
  SGD,
  Trainer,
  type DeviceDataset,
  type EpochReport,
  type Optimizer,
  type Precision,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { giveGradient, parameter } from "../support/parameters.ts";
import { tinyTest, tinyTrain } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

let train: DeviceDataset;
beforeAll(async () => {
  await testDevice();
  train = tinyTrain(16);
});
afterAll(() => train.dispose());

interface Setup extends Disposable {
  readonly model: Module;
  readonly trainer: Trainer;
}

function setUp(precision: Precision, options: { lr?: number; accumulate?: number } = {}): Setup {
  const model = resnet8({ classes: 10, seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: options.lr ?? 0.05, momentum: 0.9 });
  const { accumulate = 1 } = options;
  const trainer = new Trainer({ model, optimizer, batchSize: 8 / accumulate, accumulate, precision, shuffle: false });
  const dispose = (): void => [trainer, optimizer, model].forEach((owner) => owner.dispose());
  return { model, trainer, [Symbol.dispose]: dispose };
}

/** Steps over the first 8 images. */
async function run({ trainer }: Setup, steps: number, from = 0): Promise<number[]> {
  const losses: number[] = [];
  const indices = Uint32Array.from({ length: 8 }, (_, i) => i);
  for (let step = from; step < from + steps; step++) {
    const loss = scope(() => trainer.step(train, indices, { epoch: 1, step }, null).loss);
    losses.push(await loss.item());
    loss.dispose();
  }
  return losses;
}

describe("mixed precision", () => {
  it("learns 8 images by heart, as f32 does, without skipping more than a few steps", async () => {
    using mixed = setUp("mixed", { lr: 0.1 });
    using whole = setUp("f32", { lr: 0.1 });
    const [halves, singles] = [await run(mixed, 30), await run(whole, 30)];
    expect(halves.at(-1)).toBeLessThan(0.1);
    expect(singles.at(-1)).toBeLessThan(0.1);
    // The first loss is of the same weights: they differ by the rounding of activations.
    expect(Math.abs(halves[0] - singles[0])).toBeLessThan(2 ** -8);
    expect(halves[0]).not.toBe(singles[0]);
    expect(await mixed.trainer.skippedSteps()).toBeLessThan(4);
    expect(await whole.trainer.skippedSteps()).toBeNull();
  });

  it("trains layers with a bias: convolutions in f16, linear ones in f32", async () => {
    const losses = async (precision: Precision): Promise<number[]> => {
      using model = new Sequential(
        new Conv2d(3, 4, { kernel: 2, stride: 2 }),
        new GELU(),
        new Flatten(),
        new Linear(1024, 10),
      );
      model.initialize(1);
      using optimizer = new SGD(model.parameters(), { lr: 0.05 });
      using trainer = new Trainer({ model, optimizer, batchSize: 8, precision, shuffle: false });
      return await run({ model, trainer, [Symbol.dispose]: () => undefined }, 10);
    };
    const [halves, singles] = [await losses("mixed"), await losses("f32")];
    expect(halves.at(-1)).toBeLessThan(0.9 * halves[0]);
    expect(halves.map((loss, i) => Math.abs(loss - singles[i]) < 0.01)).not.toContain(false);
    expect(halves).not.toEqual(singles);
  });

  it("takes less memory", async () => {
    const peak = async (precision: Precision): Promise<number> => {
      using setup = setUp(precision);
      const device = currentDevice();
      await device.idle();
      device.resetPeakMemory();
      const { bytes } = device.memory();
      await run(setup, 1);
      return device.memory().peakBytes - bytes;
    };
    expect(await peak("mixed")).toBeLessThan(0.8 * (await peak("f32")));
  });

  it("does not grow from step to step", async () => {
    using setup = setUp("mixed", { accumulate: 2 });
    await run(setup, 3);
    const { tensors, bytes } = currentDevice().memory();
    await run(setup, 4, 3);
    expect(currentDevice().memory()).toMatchObject({ tensors, bytes });
  });

  it("continues from a snapshot to the same bits", async () => {
    using setup = setUp("mixed");
    await run(setup, 5);
    const snapshot = await setup.trainer.snapshot();
    expect(snapshot.lossScale!.steady).toBeGreaterThan(0);
    const losses = await run(setup, 4, 5);
    using other = setUp("mixed");
    other.trainer.restore(snapshot);
    expect(await run(other, 4, 5)).toEqual(losses);
    using whole = setUp("f32");
    expect(() => whole.trainer.restore(snapshot)).toThrow(
      "the snapshot was saved with precision mixed, not f32: continue with the same",
    );
  });

  it("reports skipped steps with the epoch, and only there", async () => {
    using test = tinyTest(8);
    const reports = async (precision: Precision): Promise<EpochReport[]> => {
      using setup = setUp(precision);
      const events = setup.trainer.fit(train, { epochs: 1, schedule: constant({ lr: 0.01 }), validation: test });
      const all: EpochReport[] = [];
      for await (const event of events) if (event.type === "epoch") all.push(event.report);
      return all;
    };
    expect((await reports("mixed"))[0].skippedSteps).toBeGreaterThanOrEqual(0);
    expect((await reports("f32"))[0]).not.toHaveProperty("skippedSteps");
  });
});

/** One linear layer whose gradients overflow f16 or f32 where the test says so: `factor` multiplies the loss. */
async function scaledSteps(
  make: (model: Module) => Optimizer,
  factors: readonly number[],
  options: { initial?: number; interval?: number } = {},
): Promise<{ weights: ArrayLike<number>[]; scaler: LossScaler; scales: number[]; skipped: number[]; steps: number }> {
  const model = new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);
  const optimizer = make(model);
  const scaler = new LossScaler(optimizer, options);
  const [images, labels] = [train.images([0, 1, 2, 3]), train.batch([0, 1, 2, 3]).labels];
  const [weight] = model.parameters() as Tensor[];
  const result = {
    weights: [await weight.data()] as ArrayLike<number>[],
    scales: [] as number[],
    skipped: [] as number[],
  };
  for (const factor of factors) {
    scope(() => {
      optimizer.zeroGrad();
      scaler.scale(crossEntropy()(model.forward(images), labels).scale(factor)).backward();
      scaler.unscale();
      optimizer.clipGradNorm(1e3);
      optimizer.step();
    });
    const { scale, skipped } = await scaler.read();
    result.weights.push(await weight.data());
    result.scales.push(scale);
    result.skipped.push(skipped);
  }
  const { steps } = optimizer;
  for (const owner of [scaler, optimizer, model, images, labels]) owner.dispose();
  return { ...result, scaler, steps };
}

const sgd = (model: Module): Optimizer => new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 0.1 });
const adam = (model: Module): Optimizer => new Adam(model.parameters(), { lr: 0.01 });

describe("loss scaling", () => {
  it.each([Infinity, NaN, 1e38])(
    "skips a step whose gradients are not finite (loss times %f), to the bit",
    async (bad) => {
      const { weights, scales, skipped } = await scaledSteps(sgd, [1, bad, bad, 1]);
      expect(weights[2]).toEqual(weights[1]);
      expect(weights[3]).toEqual(weights[1]);
      expect(weights[1]).not.toEqual(weights[0]);
      expect(weights[4]).not.toEqual(weights[3]);
      expect(scales).toEqual([65_536, 32_768, 16_384, 16_384]);
      expect(skipped).toEqual([0, 1, 2, 2]);
    },
  );

  it("grows the scale after so many steps without an overflow", async () => {
    const { scales } = await scaledSteps(sgd, [1, 1, 1, NaN, 1, 1, 1], { initial: 8, interval: 2 });
    expect(scales).toEqual([8, 16, 16, 8, 8, 16, 16]);
  });

  it.each([
    ["SGD with momentum", sgd],
    ["Adam, whose count leaves skipped steps out", adam],
  ])("steps as if the skipped had not been: %s", async (_, make) => {
    const plain = await scaledSteps(make, [1, 1, 1]);
    const skipping = await scaledSteps(make, [NaN, 1, NaN, 1, NaN, NaN, 1]);
    const [got, want] = [skipping.weights.at(-1)!, plain.weights.at(-1)!];
    // Scales are powers of 2 and change no bit of gradients; Adam's corrections are recomputed in f32.
    const how = { op: "skipped", shapes: {}, kind: Array.from({ length: 24 }, () => "add" as const), scale: 0.1 };
    expectClose(got, Array.from(want), how);
    if (make === sgd) expect(got).toEqual(want);
  });

  it("ends with its scaler, also after an overflow: the optimizer goes on without", async () => {
    const w = parameter({ shape: [3], data: Float64Array.of(1, 2, 3) });
    using optimizer = new SGD([w], { lr: 1 });
    const scaler = new LossScaler(optimizer);
    giveGradient(w, { shape: [3], data: Float64Array.of(Infinity, 1, 1) });
    scaler.unscale();
    optimizer.step();
    expect(await w.array()).toEqual([1, 2, 3]);
    scaler.dispose();
    optimizer.zeroGrad();
    giveGradient(w, { shape: [3], data: Float64Array.of(1, 0, -1) });
    optimizer.step();
    expect(await w.array()).toEqual([0, 2, 4]);
  });

  it("leaves gradients as they are", async () => {
    const [one, large] = [
      await scaledSteps(sgd, [1, 1], { initial: 1 }),
      await scaledSteps(sgd, [1, 1], { initial: 2 ** 20 }),
    ];
    expect(large.weights).toEqual(one.weights);
  });

  it("says what is wrong with its options", () => {
    using model = new Linear(2, 2);
    using optimizer = new SGD(model.parameters(), { lr: 1 });
    const make = (options: object) => () => new LossScaler(optimizer, options);
    expect(make({ initial: 0 })).toThrow("LossScaler: initial must be above 0, got 0");
    expect(make({ growth: 0.5 })).toThrow("LossScaler: growth must be at least 1, got 0.5");
    expect(make({ backoff: 2 })).toThrow("LossScaler: backoff must be above 0 and at most 1, got 2");
    expect(make({ interval: 1.5 })).toThrow("LossScaler: interval must be a whole number of at least 1, got 1.5");
  });
});
