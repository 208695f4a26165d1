// One Trainer, used again: what is changed between its steps and fits counts, and what is refused changes nothing.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tensor } from "../../engine/index.ts";
import { BatchNorm2d, Conv2d, Linear, Module } from "../../nn/index.ts";
import {
  Adam,
  findLearningRate,
  DeviceDataset,
  SGD,
  START,
  Trainer,
  type TrainerOptions,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTrain, trainImages } from "../support/tiny-data.ts";

class Net extends Module {
  readonly conv = new Conv2d(3, 4, { kernel: 3, stride: 4, bias: false });
  readonly bn = new BatchNorm2d(4);
  readonly fc: Linear;

  constructor(classes = 10) {
    super();
    this.fc = new Linear(4, classes);
    this.initialize(1);
  }

  override forward(x: Tensor): Tensor {
    return this.fc.forward(this.bn.forward(this.conv.forward(x)).relu().globalAvgPool());
  }
}

const BATCH = 8;
let train: DeviceDataset;
beforeAll(async () => {
  await testDevice();
  train = tinyTrain(5 * BATCH);
});
afterAll(() => train.dispose());

type Made = { net: Net; trainer: Trainer; optimizer: SGD | Adam };

async function withTrainer<T>(
  options: Partial<TrainerOptions>,
  work: (made: Made) => Promise<T>,
  make = (parameters: readonly Tensor[]): SGD | Adam => new SGD(parameters, { lr: 0.05, momentum: 0.9 }),
  net = new Net(),
): Promise<T> {
  const optimizer = make(net.parameters());
  const trainer = new Trainer({ model: net, optimizer, batchSize: BATCH, ...options });
  try {
    return await work({ net, trainer, optimizer });
  } finally {
    trainer.dispose();
    optimizer.dispose();
    net.dispose();
  }
}

const values = async (tensor: Tensor): Promise<number[]> => [...((await tensor.data()) as Float32Array)];

/** Trains an epoch, or until `last`; the steps that were told. */
async function steps(trainer: Trainer, epochs = 1, from = trainer.position, last = Infinity): Promise<number[]> {
  const told: number[] = [];
  for await (const event of trainer.fit(train, { epochs, startFrom: from })) {
    if (event.type !== "step") continue;
    told.push(event.step);
    if (event.step >= last) break;
  }
  return told;
}
const again = (trainer: Trainer): Promise<number[]> => steps(trainer, 1, START);

describe("what is frozen between fits", () => {
  const optimizers = {
    SGD: (parameters: readonly Tensor[]) => new SGD(parameters, { lr: 0.05, momentum: 0.9 }),
    Adam: (parameters: readonly Tensor[]) => new Adam(parameters, { lr: 0.01 }),
  };
  const ways: [keyof typeof optimizers, Partial<TrainerOptions>][] = [
    ["SGD", {}],
    ["SGD", { precision: "mixed", clipGrad: 1 }],
    ["Adam", { clipGrad: 1 }],
  ];
  it.each(ways)("stays as it is, as often as it changes: %s, %j", async (name, options) => {
    const train = async ({ net, trainer }: Made): Promise<void> => {
      for (const frozen of [true, false, true, false, true]) {
        if (frozen) net.freeze("conv");
        else net.unfreeze("conv");
        const before = await values(net.conv.weight);
        expect(await again(trainer)).toEqual([0, 1, 2, 3, 4]);
        const after = await values(net.conv.weight);
        if (frozen) expect(after).toEqual(before);
        else expect(after).not.toEqual(before);
      }
    };
    await withTrainer(options, train, optimizers[name]);
  });

  it("may be what a hook freezes, in the learning rate finder and in training after it", async () => {
    const net = new Net();
    const beforeStep = ({ step }: { step: number }): void => void (net.conv.weight.requiresGrad = step < 2);
    const work = async ({ trainer }: Made): Promise<void> => {
      for (let time = 0; time < 2; time++) await findLearningRate(trainer, train, { iterations: 12 });
      for (let time = 0; time < 2; time++) expect(await again(trainer)).toEqual([0, 1, 2, 3, 4]);
    };
    await withTrainer({ beforeStep }, work, undefined, net);
  });
});

it("batch norm in eval() keeps its statistics, also in steps that are replayed", () =>
  withTrainer({}, async ({ net, trainer }) => {
    await again(trainer);
    const before = await values(net.bn.runningMean);
    const weights = await values(net.conv.weight);
    net.bn.eval();
    await again(trainer);
    expect(await values(net.bn.runningMean)).toEqual(before);
    expect(await values(net.conv.weight)).not.toEqual(weights);
    net.bn.train();
    await again(trainer);
    expect(await values(net.bn.runningMean)).not.toEqual(before);
  }));

it("images of more classes than the model has are refused, also after others", () =>
  withTrainer(
    {},
    async ({ net, trainer }) => {
      const images = { ...trainImages(BATCH), labels: Uint8Array.from({ length: BATCH }, (_, i) => i % 3) };
      using few = new DeviceDataset(images, {
        classes: ["a", "b", "c"],
        mean: [0.5, 0.5, 0.5],
        std: [0.25, 0.25, 0.25],
      });
      for await (const event of trainer.fit(few, { epochs: 2 })) void event;
      const before = await values(net.fc.weight);
      await expect(again(trainer)).rejects.toThrow("the model has 3 classes, the data has 10");
      expect(await values(net.fc.weight)).toEqual(before);
    },
    undefined,
    new Net(3),
  ));

it("a loop that is left tells the rest of its steps when it is continued, and forgets them when it is not", () =>
  withTrainer({}, async ({ trainer }) => {
    const all = Array.from({ length: 15 }, (_, i) => i);
    const told = await steps(trainer, 3, undefined, 6);
    for (let time = 0; time < 5; time++) told.push(...(await steps(trainer, 3, trainer.position, told.length + 2)));
    expect(told).toEqual(all);
    await steps(trainer, 3, START, 6);
    expect(await again(trainer)).toEqual([0, 1, 2, 3, 4]);
  }));

describe("a snapshot that does not fit", () => {
  const averaged = { ema: { decay: 0.9 } };
  const differences: [string, Partial<TrainerOptions>, Partial<TrainerOptions>, string][] = [
    ["another's averages", averaged, {}, "the snapshot was saved with other averages"],
    ["no averages in mid-run", {}, averaged, "the snapshot was saved with other averages"],
    ["another precision", {}, { precision: "mixed" }, "the snapshot was saved with precision f32, not mixed"],
  ];
  it.each(differences)("changes nothing: %s", async (_, of, into, message) => {
    const snapshot = await withTrainer(of, async ({ trainer }) => {
      await again(trainer);
      return trainer.snapshot();
    });
    await withTrainer(into, async ({ trainer }) => {
      await steps(trainer, 2, undefined, 6);
      const before = await trainer.snapshot();
      expect(() => trainer.restore(snapshot)).toThrow(message);
      expect(await trainer.snapshot()).toEqual(before);
    });
  });

  it("changes nothing: another optimizer's", async () => {
    const snapshot = await withTrainer(
      {},
      ({ trainer }) => trainer.snapshot(),
      (all) => new Adam(all),
    );
    await withTrainer({}, async ({ trainer }) => {
      await again(trainer);
      const before = await trainer.snapshot();
      expect(() => trainer.restore(snapshot)).toThrow("SGD: the saved state has no momentum");
      expect(await trainer.snapshot()).toEqual(before);
    });
  });
});
