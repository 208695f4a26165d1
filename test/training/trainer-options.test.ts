// What a Trainer can do besides plain steps: averages, accumulation, snapshots, plateaus, stopping early, parts of epochs.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scope, type Device } from "../../engine/index.ts";
import { Flatten, Linear, resnet8, Sequential, type Module } from "../../nn/index.ts";
import {
  Adam,
  evaluate,
  parseAugment,
  SGD,
  Trainer,
  type DeviceDataset,
  type EpochReport,
  type FitOptions,
  type PlateauSchedule,
  type TrainerOptions,
  type TrainEvent,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTest, tinyTrain } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

let device: Device;
let train: DeviceDataset;
let test: DeviceDataset;
beforeAll(async () => {
  device = await testDevice();
  train = tinyTrain(20);
  test = tinyTest(10);
});
afterAll(() => {
  train.dispose();
  test.dispose();
});

const linear = (): Module => new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);

/** Gives a trainer to `work` and frees everything afterwards. */
async function withTrainer<T>(
  model: Module,
  options: Partial<TrainerOptions>,
  work: (trainer: Trainer) => Promise<T>,
): Promise<T> {
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer({ model, optimizer, batchSize: 5, ...options });
  try {
    return await work(trainer);
  } finally {
    for (const owner of [trainer, optimizer, model]) owner.dispose();
  }
}

/** Parameters and statistics, one array after the other. */
async function valuesOf(model: Module): Promise<number[]> {
  const all = [...model.parameters(), ...model.namedState().map(([, state]) => state)];
  return (await Promise.all(all.map((tensor) => tensor.data()))).flatMap((values) => Array.from(values));
}

/** The values after each of the first `steps` steps, those before them first. */
async function trace(trainer: Trainer, steps: number): Promise<number[][]> {
  const values = [await valuesOf(trainer.model)];
  const order = trainer.order(train, 1);
  for (let step = 0; step < steps; step++) {
    const indices = order.subarray((step % 4) * 5, (step % 4) * 5 + 5);
    scope(() => void trainer.step(train, indices, { epoch: 1, step, steps }, null));
    values.push(await valuesOf(trainer.model));
  }
  return values;
}

async function collect(trainer: Trainer, options: FitOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of trainer.fit(train, options)) events.push(event);
  return events;
}

const reportsOf = (events: readonly TrainEvent[]): EpochReport[] =>
  events.flatMap((event) => (event.type === "epoch" ? [event.report] : []));

const lerp = (a: readonly number[], b: readonly number[], share: number): number[] =>
  a.map((value, i) => value + (b[i] - value) * share);
const largest = (values: readonly number[]): number => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

describe("ema", () => {
  it("is the moving average of weights and statistics, and is what is tested", async () => {
    await withTrainer(resnet8({ seed: 3 }), { ema: { decay: 0.7, every: 2 } }, async (trainer) => {
      const values = await trace(trainer, 4);
      const wanted = lerp(lerp(values[0], values[2], 1 - 0.7), values[4], 1 - 0.7);
      const got = await trainer.withAverage(() => valuesOf(trainer.model));
      expectClose(got, wanted, { op: "ema", shapes: {}, terms: 4, scale: largest(wanted) });
      // The weights come back to the bit.
      expect(await valuesOf(trainer.model)).toEqual(values[4]);
    });
  });

  it("gives the epoch's test figures", async () => {
    await withTrainer(resnet8({ seed: 3 }), { ema: { decay: 0.9 } }, async (trainer) => {
      const [report] = reportsOf(await collect(trainer, { epochs: 1, validation: test }));
      const own = await evaluate(trainer.model, test, { batchSize: 5 });
      const averaged = await trainer.withAverage(() => evaluate(trainer.model, test, { batchSize: 5 }));
      expect(report.testLoss).toBe(averaged.loss);
      expect(report.testLoss).not.toBe(own.loss);
    });
  });

  it("refuses decays that average nothing", async () => {
    for (const decay of [0, 1, NaN]) {
      const made = withTrainer(linear(), { ema: { decay } }, () => Promise.resolve());
      await expect(made).rejects.toThrow(`ema.decay must be between 0 and 1, got ${decay}`);
    }
  });
});

describe("lookahead", () => {
  it("pulls the weights back to the slow ones every few steps, and at the end gives up the rest", async () => {
    const free = await withTrainer(linear(), {}, (trainer) => trace(trainer, 3));
    const decay = (progress: number): number => 0.8 * progress;
    const pulled = await withTrainer(linear(), { lookahead: { every: 2, decay } }, (trainer) => trace(trainer, 3));
    expect(pulled[1]).toEqual(free[1]);
    const slow = lerp(free[0], free[2], 1 - decay(2 / 3));
    expectClose(pulled[2], slow, { op: "lookahead", shapes: {}, terms: 3, scale: largest(slow) });
    // Step 3 of 3 moves the weights, but the slow ones are the result.
    expect(pulled[3]).toEqual(pulled[2]);
    expect(free[3]).not.toEqual(free[2]);
  });

  it("needs to know how long the run is", async () => {
    await withTrainer(linear(), { lookahead: { every: 2, decay: () => 0.5 } }, async (trainer) => {
      const before = await valuesOf(trainer.model);
      const step = (): unknown => trainer.step(train, trainer.order(train, 1), { epoch: 1, step: 0 }, null);
      expect(() => scope(() => void step())).toThrow(
        "Trainer: lookahead goes by the length of the run: give step() its `steps`",
      );
      expect(await valuesOf(trainer.model)).toEqual(before);
    });
  });
});

describe("accumulate", () => {
  it.each([20, 18])("makes one step of several batches like one large batch of %i images", async (count) => {
    const order = Uint32Array.from({ length: count }, (_, i) => (7 * i) % 20);
    const after = (options: Partial<TrainerOptions>): Promise<{ values: number[]; loss: number }> =>
      withTrainer(linear(), options, async (trainer) => {
        expect(trainer.stepImages).toBe(20);
        const { loss } = scope(() => ({ loss: trainer.step(train, order, { epoch: 1, step: 0 }, null).loss }));
        const value = await loss.item();
        loss.dispose();
        return { values: await valuesOf(trainer.model), loss: value };
      });
    const whole = await after({ batchSize: 20 });
    const parts = await after({ batchSize: 5, accumulate: 4 });
    expectClose([parts.loss], [whole.loss], { op: "loss", shapes: {}, terms: 3072, scale: whole.loss });
    expectClose(parts.values, whole.values, { op: "accumulate", shapes: {}, terms: 3072 });
  });

  it("counts steps by the images that they take, and all of their images", async () => {
    await withTrainer(linear(), { batchSize: 4, accumulate: 2 }, async (trainer) => {
      const events = await collect(trainer, { epochs: 2 });
      expect(events.filter(({ type }) => type === "step")).toHaveLength(6);
      expect(trainer.steps(train, { epochs: 2 })).toBe(6);
    });
  });
});

describe("snapshot and restore", () => {
  it("put everything back to the bit, and take no memory", async () => {
    const model = resnet8({ seed: 5 });
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    const averages = { ema: { decay: 0.9 }, lookahead: { every: 2, decay: () => 0.5 } };
    const augment = parseAugment("pad-crop:4,flip");
    const trainer = new Trainer({ model, optimizer, batchSize: 5, augment, ...averages });
    const all = async (): Promise<unknown> => {
      const own = await valuesOf(model);
      return [own, await trainer.withAverage(() => valuesOf(model)), await optimizer.state(), trainer.position];
    };
    await collect(trainer, { epochs: 1 });
    const snapshot = await trainer.snapshot();
    const before = await all();
    const { tensors, bytes } = device.memory();
    await collect(trainer, { epochs: 2, startFrom: trainer.position });
    const after = await all();
    expect(after).not.toEqual(before);
    trainer.restore(snapshot);
    expect(await all()).toEqual(before);
    expect(device.memory()).toMatchObject({ tensors, bytes });
    // From there the same steps lead to the same place.
    await collect(trainer, { epochs: 2, startFrom: trainer.position });
    expect(await all()).toEqual(after);
    for (const owner of [trainer, optimizer, model]) owner.dispose();
  });
});

describe("decisions at the end of an epoch", () => {
  /** Halves the rate after every epoch and remembers what it was fed. */
  function halving(): PlateauSchedule & { fed: number[] } {
    let lr = 0.08;
    const fed: number[] = [];
    return {
      fed,
      monitor: "testLoss",
      at: () => ({ lr }),
      observe: (metric) => {
        fed.push(metric);
        lr /= 2;
        return true;
      },
      state: () => ({ lr }),
      loadState: (state) => void (lr = state["lr"]),
    };
  }

  it("feeds a plateau schedule the epoch's figure, and continues it from the position", async () => {
    const schedule = halving();
    await withTrainer(linear(), {}, async (trainer) => {
      const reports = reportsOf(await collect(trainer, { epochs: 3, schedule, validation: test }));
      expect(reports.map(({ lr }) => lr)).toEqual([0.08, 0.04, 0.02]);
      expect(schedule.fed).toEqual(reports.map(({ testLoss }) => testLoss));
      expect(trainer.position.schedule).toEqual({ lr: 0.01 });
      const later = halving();
      const options = { epochs: 4, schedule: later, validation: test, startFrom: trainer.position };
      expect(reportsOf(await collect(trainer, options))[0].lr).toBe(0.01);
    });
  });

  it("says what is missing where the figure does not exist", async () => {
    await withTrainer(linear(), {}, async (trainer) => {
      await expect(collect(trainer, { epochs: 1, schedule: halving() })).rejects.toThrow(
        "fit: there is no testLoss to watch: give test images, or watch another figure",
      );
    });
  });

  it("ends a run that has stopped improving, and a continued one at once", async () => {
    // A rate that diverges slowly: the test loss only grows.
    const schedule = (step: number) => ({ lr: 0.05 * 1.5 ** step });
    const earlyStop = { patience: 2, monitor: "testLoss" as const };
    await withTrainer(linear(), {}, async (trainer) => {
      const options = { epochs: 9, schedule, validation: test, earlyStop };
      const events = await collect(trainer, options);
      const losses = reportsOf(events).map(({ testLoss }) => testLoss!);
      const best = losses.indexOf(Math.min(...losses));
      expect(losses.length).toBe(best + 3);
      expect(losses.length).toBeLessThan(9);
      expect(events.at(-1)).toMatchObject({ type: "end", reason: "early-stop" });
      const again = await collect(trainer, { ...options, startFrom: trainer.position });
      expect(again.map(({ type }) => type)).toEqual(["start", "end"]);
    });
  });
});

describe("a fraction of epochs", () => {
  it("ends inside an epoch and reports it", async () => {
    await withTrainer(linear(), {}, async (trainer) => {
      expect(trainer.steps(train, { epochs: 1.6 })).toBe(7);
      const events = await collect(trainer, { epochs: 1.6, validation: test });
      expect(events[0]).toMatchObject({ type: "start", steps: 7, epochs: 2, stepsPerEpoch: 4 });
      expect(events.filter(({ type }) => type === "step")).toHaveLength(7);
      expect(reportsOf(events)).toHaveLength(2);
      expect(events.at(-1)).toMatchObject({ type: "end", reason: "done" });
      const again = await collect(trainer, { epochs: 1.6, validation: test, startFrom: trainer.position });
      expect(again.map(({ type }) => type)).toEqual(["start", "end"]);
    });
  });

  it("does not grow by a step where a product is not exact", async () => {
    await withTrainer(linear(), { batchSize: 2 }, (trainer) => {
      expect(trainer.steps(train, { epochs: 0.3 })).toBe(3);
      expect(trainer.steps(train, { epochs: 4.1 })).toBe(41);
      return Promise.resolve();
    });
  });
});

describe("beforeStep", () => {
  it("is told each step, and may freeze from there on", async () => {
    const model = linear();
    const [weight] = model.parameters();
    const seen: unknown[] = [];
    const beforeStep: TrainerOptions["beforeStep"] = ({ epoch, step, steps }) => {
      seen.push([epoch, step, steps]);
      weight.requiresGrad = step < 2;
    };
    await withTrainer(model, { beforeStep }, async (trainer) => {
      const values = await trace(trainer, 3);
      expect(seen).toEqual([0, 1, 2].map((step) => [1, step, 3]));
      expect(values[3].slice(0, weight.size)).toEqual(values[2].slice(0, weight.size));
      expect(values[3].slice(weight.size)).not.toEqual(values[2].slice(weight.size));
    });
  });
});
