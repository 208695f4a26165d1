import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { keep, tensor, type Device } from "../../engine/index.ts";
import { Dropout, exportWeights, Flatten, Linear, resnet8, Sequential } from "../../nn/index.ts";
import {
  Adam,
  constant,
  crossEntropy,
  DivergedError,
  oneCycle,
  parseAugment,
  SGD,
  Trainer,
  type DeviceDataset,
  type EpochReport,
  type FitOptions,
  type Loss,
  type StepAt,
  type StepEvent,
  type TrainEvent,
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

/** A new net and optimizer; call `dispose` in the end. */
function setUp(options: Partial<TrainerOptions> & { lr?: number } = {}): Trainer & Disposable {
  const model = resnet8({ classes: 10, seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: options.lr ?? 0.05, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new Trainer({ model, optimizer, batchSize: 8, ...options });
  return Object.assign(trainer, {
    [Symbol.dispose]: () => {
      trainer.dispose();
      optimizer.dispose();
      model.dispose();
    },
  });
}

async function collect(trainer: Trainer, options: FitOptions, set = train): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of trainer.fit(set, options)) events.push(event);
  return events;
}

const stepsOf = (events: readonly TrainEvent[]): StepEvent[] => events.filter((event) => event.type === "step");
const reportsOf = (events: readonly TrainEvent[]): EpochReport[] =>
  events.flatMap((event) => (event.type === "epoch" ? [event.report] : []));

async function weightsOf(trainer: Trainer): Promise<Buffer> {
  return Buffer.from(
    await exportWeights(trainer.model, { name: "resnet8", stem: "cifar", classes: 10, imageSize: 32 }),
  );
}

describe("Trainer", () => {
  it("learns 8 images by heart", async () => {
    const model = resnet8({ classes: 10, seed: 3 });
    const optimizer = new Adam(model.parameters(), { lr: 3e-3 });
    const eight = tinyTrain(8);
    const trainer = new Trainer({ model, optimizer, batchSize: 8 });
    const reports = reportsOf(await collect(trainer, { epochs: 40 }, eight));
    expect(reports[0].trainLoss).toBeGreaterThan(1.5);
    expect(reports.at(-1)!.trainLoss).toBeLessThan(0.02);
    expect(reports.at(-1)!.trainAccuracy).toBe(1);
    for (const owner of [eight, optimizer, model]) owner.dispose();
  });

  it("reports every step, in order, with the schedule's rates, and counts the partial batch", async () => {
    using trainer = setUp();
    const epochs = 2;
    expect(trainer.steps(train, { epochs })).toBe(6);
    const schedule = oneCycle({ maxLr: 0.1, totalSteps: 6 });
    const events = await collect(trainer, { epochs, schedule });
    const steps = stepsOf(events);
    expect(steps.map(({ step, epoch }) => [step, epoch])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2],
      [5, 2],
    ]);
    expect(steps.map(({ lr, momentum }) => ({ lr, momentum }))).toEqual(steps.map(({ step }) => schedule(step)));
    expect(events[0]).toMatchObject({ type: "start", steps: 6, epochs: 2, stepsPerEpoch: 3 });
    expect(events.at(-1)).toMatchObject({ type: "end", reason: "done", position: { step: 6, epoch: 2 } });
    const [first, second] = reportsOf(events);
    // 20 images in batches of 8, 8 and 4: each image counts once.
    const mean = (8 * steps[3].loss + 8 * steps[4].loss + 4 * steps[5].loss) / 20;
    expect(second.trainLoss).toBeCloseTo(mean, 12);
    expect(second.trainAccuracy * 20).toBeCloseTo(Math.round(second.trainAccuracy * 20), 9);
    expect([first.lr, second.lr]).toEqual([schedule(0).lr, schedule(3).lr]);
    expect([first.testLoss, first.testAccuracy]).toEqual([null, null]);
  });

  it("leaves the last batch out with dropLast, and refuses an epoch without a batch", async () => {
    using trainer = setUp({ dropLast: true });
    expect(trainer.steps(train, { epochs: 3 })).toBe(6);
    expect(stepsOf(await collect(trainer, { epochs: 1 }))).toHaveLength(2);
    using large = setUp({ dropLast: true, batchSize: 64 });
    expect(() => large.steps(train, { epochs: 1 })).toThrow("20 images make no batch of 64");
    // 20 images: four batches of 5, or six of 3 and two left over. A step of fewer batches than others loses none of them.
    const sizes = [
      { batchSize: 5, images: 20, steps: 1 },
      { batchSize: 3, images: 18, steps: 2 },
    ];
    for (const { batchSize, images, steps } of sizes) {
      using short = setUp({ dropLast: true, batchSize, accumulate: 4 });
      expect([short.steps(train, { epochs: 1 }), short.order(train, 1).length]).toEqual([steps, images]);
      expect(stepsOf(await collect(short, { epochs: 1 }))).toHaveLength(steps);
    }
  });

  it("gives the same bits for the same seed, others for another", async () => {
    const augment = parseAugment("pad-crop:4,flip,cutout:8");
    const run = async (seed: number): Promise<Buffer> => {
      using trainer = setUp({ seed, augment, loss: crossEntropy({ labelSmoothing: 0.1 }) });
      await collect(trainer, { epochs: 2 });
      return weightsOf(trainer);
    };
    const first = await run(5);
    expect((await run(5)).equals(first)).toBe(true);
    expect((await run(6)).equals(first)).toBe(false);
  });

  it("keeps the order of the images without shuffling, and draws another in every epoch with it", () => {
    using trainer = setUp();
    const order = trainer.order({ count: 20 }, 1);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(trainer.order({ count: 20 }, 1)).toEqual(order);
    expect(trainer.order({ count: 20 }, 2)).not.toEqual(order);
    using plain = setUp({ shuffle: false });
    expect([...plain.order({ count: 3 }, 2)]).toEqual([0, 1, 2]);
  });

  it("needs no more memory after more steps", async () => {
    using trainer = setUp({ augment: parseAugment("pad-crop:2,flip") });
    await collect(trainer, { epochs: 2 });
    const before = device.memory();
    await collect(trainer, { epochs: 6 });
    const after = device.memory();
    expect(after.tensors).toBe(before.tensors);
    expect(after.bytes).toBe(before.bytes);
    expect(after.bytes + after.pooled).toBe(before.bytes + before.pooled);
  });

  it("stops where the loop is left, and on a signal", async () => {
    using trainer = setUp();
    const leave = async (): Promise<void> => {
      for await (const event of trainer.fit(train, { epochs: 50 })) if (event.type === "epoch") break;
      expect(trainer.position).toMatchObject({ step: 3, epoch: 1 });
    };
    await leave();
    const before = device.memory().tensors;
    await leave();
    expect(device.memory().tensors).toBe(before);
    const controller = new AbortController();
    controller.abort();
    const events = await collect(trainer, { epochs: 50, startFrom: trainer.position, signal: controller.signal });
    expect(events.map(({ type }) => type)).toEqual(["start", "end"]);
    expect(events[1]).toMatchObject({ reason: "stopped", position: { step: 3, epoch: 1 } });
  });

  it("continues where it was stopped, with the same dropout", async () => {
    const run = async (stop: boolean): Promise<Buffer> => {
      const dropout = new Dropout(0.5);
      const model = new Sequential(new Flatten(), dropout, new Linear(3072, 10)).initialize(1);
      const optimizer = new Adam(model.parameters());
      const trainer = new Trainer({ model, optimizer, batchSize: 4 });
      if (stop) {
        const controller = new AbortController();
        const schedule = (step: number) => {
          if (step === 2) controller.abort();
          return { lr: 1e-3 };
        };
        await collect(trainer, { epochs: 2, schedule, signal: controller.signal });
        expect(trainer.position).toMatchObject({ step: 3, epoch: 0, running: { steps: 3, samples: 12 } });
        dropout.step = 999;
      }
      const events = await collect(trainer, { epochs: 2, startFrom: trainer.position });
      expect(events.at(-1)).toMatchObject({ position: { step: 10, epoch: 2 } });
      const weights = await weightsOf(trainer);
      optimizer.dispose();
      model.dispose();
      return weights;
    };
    expect((await run(true)).equals(await run(false))).toBe(true);
  });

  it("evaluates after each epoch", async () => {
    using trainer = setUp();
    using test = tinyTest(11);
    using heldOut = tinyTest(5);
    const [report] = reportsOf(await collect(trainer, { epochs: 1, validation: test, heldOut }));
    expect(Object.keys(report).sort()).toEqual(
      ["epoch", "lr", "trainLoss", "trainAccuracy", "testLoss", "testAccuracy", "seconds", "imagesPerSecond"]
        .concat("validationLoss", "validationAccuracy")
        .sort(),
    );
    expect(report.testLoss).toBeGreaterThan(0);
    expect(report.testAccuracy! * 11).toBeCloseTo(Math.round(report.testAccuracy! * 11), 9);
    expect(report.validationLoss).toBeGreaterThan(0);
    expect(trainer.model.training).toBe(true);
  });

  it("says at which step the loss was not finite", async () => {
    for (const [factor, what] of [
      [NaN, "NaN"],
      [Infinity, "infinite"],
    ] as const) {
      using scale = keep(tensor(1));
      const loss: Loss = (logits, labels) => crossEntropy()(logits, labels).mul(scale);
      const beforeStep = ({ step }: StepAt): void => void (step === 2 && scale.write([factor]));
      using trainer = setUp({ loss, beforeStep });
      const schedule = constant({ lr: 5 });
      const error: unknown = await collect(trainer, { epochs: 5, schedule }).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(DivergedError);
      expect((error as Error).message).toBe(`loss is ${what} at step 2 (lr 5.0): lower --lr`);
    }
  });

  it("passes a failed read on, once: not as an unhandled rejection, which would end the process", async () => {
    using trainer = setUp();
    const before = device.memory().tensors;
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const lost = (): Promise<never> => Promise.reject(new Error("GPU: the device was lost"));
    const read = vi.spyOn(device, "read").mockImplementation(lost);
    try {
      await expect(collect(trainer, { epochs: 3 })).rejects.toThrow("GPU: the device was lost");
    } finally {
      read.mockRestore();
    }
    await new Promise((done) => setImmediate(done));
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    trainer.dispose();
    // The parameters came to the device; the log is gone.
    expect(device.memory().tensors).toBeLessThanOrEqual(before + trainer.model.namedState().length);
  });

  it("refuses a model with too few classes, a position of another data set, and settings out of range", async () => {
    const model = resnet8({ classes: 3 });
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    const trainer = new Trainer({ model, optimizer });
    await expect(collect(trainer, { epochs: 1 })).rejects.toThrow("the model has 3 classes, the data has 10");
    const startFrom = { step: 7, epoch: 1, running: { steps: 0, samples: 0, loss: 0, correct: 0 } };
    await expect(collect(trainer, { epochs: 2, startFrom })).rejects.toThrow("does not fit epochs of 1 steps");
    expect(() => new Trainer({ model, optimizer, batchSize: 0 })).toThrow("batchSize");
    expect(() => trainer.steps(train, { epochs: 0 })).toThrow("epochs");
    optimizer.dispose();
    model.dispose();
  });
});

describe("options", () => {
  /** A trainer with these options is made and disposed of. */
  function make(options: object): void {
    using model = new Sequential(new Flatten(), new Linear(3072, 10));
    using optimizer = new SGD(model.parameters(), { lr: 0.1 });
    new Trainer({ model, optimizer, ...options }).dispose();
  }
  const steps = (text: string): string => `augment must be a list of steps, as parseAugment("${text}") reads it, got`;
  const alpha = "must be above 0 and at most 1000000, got";

  it.each<[object, string]>([
    [{ precision: "fp16" }, 'unknown precision "fp16" (known: f32, mixed)'],
    [{ precision: "mix" }, 'unknown precision "mix"; did you mean "mixed"? (known: f32, mixed)'],
    [{ augment: "flip,cutout:8" }, `${steps("flip,cutout:8")} "flip,cutout:8"`],
    [{ augment: ["flip"] }, `${steps("pad-crop:4,flip")} ["flip"]`],
    [{ augment: { kind: "flip" } }, `${steps("pad-crop:4,flip")} {"kind":"flip"}`],
    [{ clipGrad: 0 }, "clipGrad must be above 0, got 0"],
    [{ mixup: Infinity }, `mixup ${alpha} Infinity`],
    [{ mixup: 1e308 }, `mixup ${alpha} 1e+308`],
    [{ mixup: 0 }, `mixup ${alpha} 0`],
    [{ cutmix: 1.1e6 }, `cutmix ${alpha} 1100000`],
    [{ cutmix: NaN }, `cutmix ${alpha} NaN`],
  ])("refuse %o", (options, message) => {
    expect(() => make(options)).toThrow(new Error(`Trainer: ${message}`));
  });

  it("may lie at the ends of their ranges", () => {
    make({ precision: "mixed", augment: parseAugment("none"), mixup: 1e6, cutmix: Number.MIN_VALUE });
  });
});
