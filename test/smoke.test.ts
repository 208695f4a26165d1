// The whole product in one go, through the public names alone: data, training, curves, files, evaluation.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noGrad, scope, type Device } from "../engine/index.ts";
import { modelFromCheckpoint, readCheckpoint, resnet8, type ResNet } from "../nn/index.ts";
import {
  Adam,
  createRunFolder,
  crossEntropy,
  environment,
  evaluate,
  loadDataset,
  oneCycle,
  parseAugment,
  Trainer,
  type Dataset,
  type EpochReport,
} from "../training/index.ts";
import { testDevice } from "./support/gpu.ts";
import { expectClose } from "./support/tolerance.ts";
import { temporaryFolder } from "./training/data/fixtures.ts";

const EPOCHS = 6;
const dir = join(temporaryFolder(), "run");
let device: Device;
let data: Dataset;
let model: ResNet;
const reports: EpochReport[] = [];

beforeAll(async () => {
  device = await testDevice();
  data = await loadDataset("shapes", { limit: 300, limitTest: 100 });
  model = resnet8({ classes: data.classes.length, seed: 1 });
  using optimizer = new Adam(model.parameters(), { lr: 1e-3 });
  const trainer = new Trainer({
    model,
    optimizer,
    loss: crossEntropy({ labelSmoothing: 0.1 }),
    batchSize: 16,
    augment: parseAugment("pad-crop:1"),
  });
  const schedule = oneCycle({ maxLr: 0.003, totalSteps: trainer.steps(data.train, { epochs: EPOCHS }) });
  const { classes, mean, std } = data;
  const info = {
    name: "resnet8",
    stem: "cifar",
    classes: classes.length,
    imageSize: 32,
    classNames: classes,
    mean,
    std,
  } as const;
  const run = await createRunFolder(dir, { model: info, epochs: EPOCHS, ...environment(device) });
  for await (const event of trainer.fit(data.train, { epochs: EPOCHS, schedule, validation: data.test })) {
    await run.record(event);
    if (event.type === "epoch") {
      reports.push(event.report);
      await run.saveState(trainer, event.position);
    }
  }
});
afterAll(() => {
  data.dispose();
  model.dispose();
});

const lines = (name: string): Record<string, number>[] =>
  readFileSync(join(dir, name), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number>);

describe("smoke", () => {
  it("learns something", () => {
    expect(reports.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6]);
    // 300 images are too few to recognise new ones by, but enough to begin to tell them apart; without updates the loss would stay.
    expect(reports[EPOCHS - 1].trainLoss).toBeLessThan(reports[0].trainLoss - 0.1);
    expect(reports[EPOCHS - 1].trainAccuracy).toBeGreaterThan(reports[0].trainAccuracy);
    for (const { seconds, imagesPerSecond } of reports) expect(seconds * imagesPerSecond).toBeGreaterThanOrEqual(300);
  });

  it("writes its curves", () => {
    expect(lines("metrics.jsonl")).toEqual(reports);
    const steps = lines("steps.jsonl");
    expect(steps).toHaveLength(EPOCHS * 19);
    expect(steps.every(({ loss, lr }) => Number.isFinite(loss) && lr > 0)).toBe(true);
  });

  it("evaluates to what it reported", async () => {
    const result = await evaluate(model, data.test);
    expect(result.accuracy).toBe(reports[EPOCHS - 1].testAccuracy);
    const mean = { op: "evaluate", shapes: {}, terms: data.test.count };
    expectClose([result.loss], [reports[EPOCHS - 1].testLoss!], mean);
    expect(result.perClass.map((row) => row.count)).toEqual(data.classes.map(() => 10));
  });

  it("reads its best weights back", async () => {
    const checkpoint = readCheckpoint(readFileSync(join(dir, "best.safetensors")), "best");
    expect(checkpoint.metadata.classes).toEqual(data.classes);
    using best = modelFromCheckpoint(checkpoint, "best");
    const { accuracy } = await evaluate(best, data.test, { batchSize: 50 });
    expect(accuracy).toBe(Math.max(...reports.map((report) => report.testAccuracy!)));
  });

  it("predicts single images", async () => {
    model.eval();
    const logits = noGrad(() => scope(() => model.forward(data.test.images([7, 8]))));
    expect(logits.shape).toEqual([2, 10]);
    expect((await logits.data()).every(Number.isFinite)).toBe(true);
    logits.dispose();
  });
});
