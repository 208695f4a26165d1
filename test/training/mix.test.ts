import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../engine/index.ts";
import { Flatten, Linear, Sequential } from "../../nn/index.ts";
import { crossEntropy, SGD, Trainer, type DeviceDataset } from "../../training/index.ts";
import { drawMix, MAX_ALPHA, mixBatch, mixedLoss, type Mix } from "../../training/mix.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTrain } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

let train: DeviceDataset;
beforeAll(async () => {
  await testDevice();
  train = tinyTrain(12);
});
afterAll(() => train.dispose());

const size = { count: 12, height: 32, width: 32 };
const draws = (options: { mixup?: number; cutmix?: number }, n: number): Mix[] =>
  Array.from({ length: n }, (_, step) => drawMix(options, size, { seed: 3, epoch: 2, step })!);
const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

describe("drawing", () => {
  // The variance of Beta(a, a) is 1 / (4 (2a + 1)); bounds of five standard errors.
  it.each([0.2, 1, 4])("takes mixup's shares from Beta(%d, %d)", (alpha) => {
    const n = 4000;
    const shares = draws({ mixup: alpha }, n).map(({ share }) => share);
    const variance = 1 / (4 * (2 * alpha + 1));
    expect(Math.abs(mean(shares) - 0.5)).toBeLessThan(5 * Math.sqrt(variance / n));
    const spread = mean(shares.map((share) => (share - 0.5) ** 2));
    // The fourth moment is at most a quarter of the second: (share - 1/2)^2 <= 1/4.
    expect(Math.abs(spread - variance)).toBeLessThan(5 * Math.sqrt((variance / 4 - variance ** 2) / n));
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...shares)).toBeLessThanOrEqual(1);
  });

  it("takes the largest alpha for halves", () => {
    const shares = draws({ mixup: MAX_ALPHA }, 4000).map(({ share }) => Math.abs(share - 0.5));
    expect(Math.max(...shares)).toBeLessThan(0.003);
    // They differ as they should: by 3.5e-4.
    expect(Math.sqrt(mean(shares.map((share) => share ** 2)))).toBeCloseTo(1 / Math.sqrt(8 * MAX_ALPHA), 5);
  });

  it("gives cutmix the share that its box leaves", () => {
    for (const { box, share } of draws({ cutmix: 1 }, 500)) {
      const [x0, y0, x1, y1] = box!;
      expect(x0 >= 0 && y0 >= 0 && x1 <= 32 && y1 <= 32 && x0 <= x1 && y0 <= y1).toBe(true);
      expect(share).toBe(1 - ((x1 - x0) * (y1 - y0)) / 1024);
    }
  });

  it("takes one or the other where both are asked for, and neither where none is", () => {
    const kinds = draws({ mixup: 1, cutmix: 1 }, 1000).map(({ kind }) => kind);
    const mixups = kinds.filter((kind) => kind === "mixup").length;
    expect(Math.abs(mixups - 500)).toBeLessThan(80);
    expect(drawMix({}, size, { seed: 0, epoch: 0, step: 0 })).toBeNull();
  });

  it("is the same for the same step, another for another, and pairs every image once", () => {
    const [a, b] = draws({ mixup: 1 }, 2);
    expect(draws({ mixup: 1 }, 1)[0]).toEqual(a);
    expect(b).not.toEqual(a);
    expect([...a.partner].sort((x, y) => x - y)).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });
});

describe("mixing", () => {
  it.each([
    ["mixup", 0.3, null],
    ["cutmix", 1 - (10 * 20) / 1024, [4, 6, 14, 26]],
  ] as const)("%s blends images and losses", async (kind, share, box) => {
    const mix: Mix = { kind, share, box, partner: Uint32Array.of(1, 2, 0) };
    const [a, b] = [train.batch([0, 1, 2]), train.batch([1, 2, 0])];
    const loss = crossEntropy({ labelSmoothing: 0.1 });
    const logits = a.images.view([3, 3072]).slice([null, { start: 500, end: 510 }]);
    const mixed = mixBatch(a, b, mix);
    const [first, second] = [await a.images.data(), await b.images.data()];
    const wanted = Float64Array.from(first, (value, i) => {
      if (!box) return share * value + (1 - share) * second[i];
      const [x, y] = [Math.floor(i / 3) % 32, Math.floor(i / 96) % 32];
      return x >= box[0] && x < box[2] && y >= box[1] && y < box[3] ? second[i] : value;
    });
    expectClose(await mixed.images.data(), wanted, { op: kind, shapes: {}, terms: 3, scale: 4 });
    const losses = [await loss(logits, a.labels).item(), await loss(logits, b.labels).item()];
    const both = share * losses[0] + (1 - share) * losses[1];
    expectClose([await mixedLoss(loss, logits, mixed).item()], [both], { op: "loss", shapes: {}, terms: 12, scale: 4 });
    expect(mixed.labels).toBe(share >= 0.5 ? a.labels : b.labels);
  });

  it("changes what is trained on, by the seed and the step alone", async () => {
    const lossOf = async (step: number, mixup?: number): Promise<number> => {
      using model = new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);
      using optimizer = new SGD(model.parameters(), { lr: 0.01 });
      const trainer = new Trainer({ model, optimizer, batchSize: 12, mixup });
      const loss = scope(() => trainer.step(train, trainer.order(train, 1), { epoch: 1, step }, null).loss);
      const value = await loss.item();
      loss.dispose();
      return value;
    };
    expect(await lossOf(1, 0.4)).toBe(await lossOf(1, 0.4));
    expect(await lossOf(1, 0.4)).not.toBe(await lossOf(2, 0.4));
    expect(await lossOf(1, 0.4)).not.toBe(await lossOf(1));
  });
});
