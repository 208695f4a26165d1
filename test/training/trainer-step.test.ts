import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../engine/index.ts";
import { Flatten, Linear, resnet8, Sequential } from "../../nn/index.ts";
import { SGD, Trainer } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTrain } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

/** How far one step of gradient descent at rate 1 moves all weights together: the gradients' norm. */
async function stepLength(clipGrad?: number): Promise<number> {
  using train = tinyTrain(8);
  using model = new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);
  using optimizer = new SGD(model.parameters(), { lr: 1 });
  const trainer = new Trainer({ model, optimizer, batchSize: 8, clipGrad });
  const before = await Promise.all(model.parameters().map((parameter) => parameter.data()));
  scope(() => void trainer.step(train, trainer.order(train, 1), { epoch: 1, step: 0 }, null));
  const after = await Promise.all(model.parameters().map((parameter) => parameter.data()));
  return Math.hypot(...after.flatMap((values, i) => Array.from(values, (value, j) => value - before[i][j])));
}

describe("stepBytes", () => {
  it("foretells what a step takes, and runs nothing", async () => {
    const device = await testDevice();
    using train = tinyTrain(32);
    using model = resnet8({ classes: 10, seed: 1 });
    using optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
    using trainer = new Trainer({ model, optimizer, batchSize: 32 });
    const weights = await model.parameters()[0].data();
    const foretold = [8, 16, 32].map((images) => trainer.stepBytes(train, images));
    expect(foretold[1]).toBeGreaterThan(1.5 * foretold[0]);
    expect(foretold[2]).toBeGreaterThan(1.5 * foretold[1]);
    expect(await model.parameters()[0].data()).toEqual(weights);
    const before = device.memory().bytes;
    scope(() => void trainer.step(train, trainer.order(train, 1), { epoch: 1, step: 0 }, null));
    expect(device.memory().bytes - before).toBe(foretold[2]);
  });
});

describe("clipGrad", () => {
  it("limits the norm of all gradients, and leaves smaller ones alone", async () => {
    const free = await stepLength();
    // The weights are up to 1/sqrt(3072) large, and their differences as exact as they.
    const how = { op: "clipGrad", shapes: {}, terms: 30_730, scale: free };
    expectClose([await stepLength(free / 8)], [free / 8], how);
    expect(await stepLength(free * 8)).toBe(free);
  });

  it("must be above 0", () => {
    using model = new Linear(2, 2);
    using optimizer = new SGD(model.parameters(), { lr: 1 });
    for (const clipGrad of [0, -1, NaN]) {
      const text = `Trainer: clipGrad must be above 0, got ${clipGrad}`;
      expect(() => new Trainer({ model, optimizer, clipGrad })).toThrow(text);
    }
  });
});
