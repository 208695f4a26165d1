// An interrupted run, continued by a new Trainer from the state file alone, equals the uninterrupted one bit for bit.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resnet8, type ExportInfo } from "../../nn/index.ts";
import {
  Adam,
  createRunFolder,
  crossEntropy,
  oneCycle,
  openRunFolder,
  parseAugment,
  restoreTrainer,
  SGD,
  START,
  Trainer,
  type DeviceDataset,
  type Optimizer,
  type RunFolder,
  type Schedule,
  type TrainerOptions,
  type TrainEvent,
} from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTest, tinyTrain } from "../support/tiny-data.ts";
import { temporaryFolder } from "./data/fixtures.ts";

const EPOCHS = 3;
const model: ExportInfo = { name: "resnet8", stem: "cifar", classes: 10, imageSize: 32, classNames: [..."0123456789"] };
const root = temporaryFolder();
let train: DeviceDataset;
let test: DeviceDataset;
beforeAll(async () => {
  await testDevice();
  train = tinyTrain(44);
  test = tinyTest(13);
});
afterAll(() => {
  train.dispose();
  test.dispose();
});

/** "all": averages, accumulation and mixing too. */
type Kind = "sgd" | "adam" | "all";

/** A net that knows nothing of earlier ones, and everything around it. */
async function withTrainer(kind: Kind, work: (trainer: Trainer) => Promise<void>): Promise<void> {
  const net = resnet8({ classes: 10, seed: 2 });
  const parameters = net.parameters();
  const optimizer: Optimizer =
    kind === "sgd"
      ? new SGD(parameters, { lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4 })
      : new Adam(parameters, { lr: 1e-3, weightDecay: 1e-4 });
  const augment = parseAugment("pad-crop:4,flip,cutout:8");
  const loss = crossEntropy({ labelSmoothing: 0.1 });
  const extras: Partial<TrainerOptions> = {
    batchSize: 4,
    accumulate: 2,
    ema: { decay: 0.8 },
    lookahead: { every: 5, decay: (progress) => 0.9 * progress },
    mixup: 0.4,
    cutmix: 1,
  };
  const more = kind === "all" ? extras : { batchSize: 8 };
  const trainer = new Trainer({ model: net, optimizer, loss, seed: 9, augment, ...more });
  try {
    await work(trainer);
  } finally {
    trainer.dispose();
    optimizer.dispose();
    net.dispose();
  }
}

interface Interruption {
  /** Seconds. */
  saveEvery?: number;
  /** The signal is aborted while this step is under way. */
  stopAt?: number;
  /** Sees every event, and may throw. */
  watch?: (event: TrainEvent, abort: () => void) => void;
}

/** Trains as the command does. Returns the last event. */
async function run(
  trainer: Trainer,
  folder: RunFolder,
  { stopAt, saveEvery, watch }: Interruption = {},
): Promise<TrainEvent> {
  const controller = new AbortController();
  const rates = oneCycle({ maxLr: 0.02, totalSteps: trainer.steps(train, { epochs: EPOCHS }) });
  const schedule: Schedule = (step) => {
    if (step === stopAt) controller.abort();
    return rates(step);
  };
  const startFrom = folder.state?.position ?? START;
  let last: TrainEvent | undefined;
  const options = { epochs: EPOCHS, schedule, validation: test, startFrom, saveEvery, signal: controller.signal };
  for await (const event of trainer.fit(train, options)) {
    last = event;
    await folder.record(event);
    if (event.type === "save" || event.type === "epoch" || event.type === "end") {
      await folder.saveState(trainer, event.position);
    }
    watch?.(event, () => controller.abort());
  }
  return last!;
}

const bytes = (dir: string, name: string): Buffer => readFileSync(join(dir, name));
const lines = (dir: string, name: string): Record<string, number>[] =>
  bytes(dir, name)
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number>);
/** Everything but the clock. */
const figures = (dir: string): Record<string, number>[] =>
  lines(dir, "metrics.jsonl").map((line) => ({ ...line, seconds: 0, imagesPerSecond: 0 }));

describe.each<Kind>(["sgd", "adam", "all"])("a resumed run with %s", (kind) => {
  const whole = join(root, `${kind}-whole`);
  beforeAll(async () => {
    await withTrainer(kind, async (trainer) => {
      await run(trainer, await createRunFolder(whole, { model }));
    });
    expect(lines(whole, "steps.jsonl").map(({ step }) => step)).toEqual(Array.from({ length: 18 }, (_, i) => i));
  });

  function expectSame(dir: string): void {
    for (const name of ["last.safetensors", "best.safetensors", "state.safetensors", "steps.jsonl"]) {
      expect(bytes(dir, name).equals(bytes(whole, name)), name).toBe(true);
    }
    expect(figures(dir)).toEqual(figures(whole));
  }

  it("continues in the middle of an epoch", async () => {
    const dir = join(root, `${kind}-middle`);
    await withTrainer(kind, async (trainer) => {
      const folder = await createRunFolder(dir, { model });
      const end = await run(trainer, folder, { stopAt: 8 });
      expect(end).toMatchObject({ type: "end", reason: "stopped", position: { epoch: 1, step: 9 } });
    });
    const folder = await openRunFolder(dir);
    expect(folder.state!.position).toMatchObject({ step: 9, epoch: 1, running: { steps: 3, samples: 24 } });
    expect(lines(dir, "steps.jsonl")).toHaveLength(9);
    await withTrainer(kind, async (trainer) => {
      restoreTrainer(trainer, folder.state!);
      expect(await run(trainer, folder)).toMatchObject({ type: "end", reason: "done" });
    });
    expectSame(dir);
  });

  if (kind !== "sgd") return;

  it("continues where the evaluation was interrupted", async () => {
    const dir = join(root, `${kind}-evaluation`);
    await withTrainer(kind, async (trainer) => {
      const folder = await createRunFolder(dir, { model });
      await run(trainer, folder, {
        watch: (event, abort) => {
          if (event.type === "step" && event.step === 11) abort();
        },
      });
    });
    const folder = await openRunFolder(dir);
    expect(folder.state!.position).toMatchObject({ step: 12, epoch: 1, running: { steps: 6, samples: 44 } });
    expect(figures(dir)).toHaveLength(1);
    await withTrainer(kind, async (trainer) => {
      restoreTrainer(trainer, folder.state!);
      await run(trainer, folder);
    });
    expectSame(dir);
  });

  it("cuts off what a killed run had written past its state", async () => {
    const dir = join(root, `${kind}-killed`);
    await withTrainer(kind, async (trainer) => {
      const folder = await createRunFolder(dir, { model });
      const dies = run(trainer, folder, {
        watch: (event) => {
          if (event.type === "step" && event.step === 9) throw new Error("killed");
        },
      });
      await expect(dies).rejects.toThrow("killed");
      await folder.flush();
    });
    expect(lines(dir, "steps.jsonl").length).toBeGreaterThan(6);
    const written = lines(dir, "steps.jsonl").length;
    const folder = await openRunFolder(dir);
    expect(lines(dir, "steps.jsonl")).toHaveLength(written); // A look at a run changes nothing.
    await folder.cutBack();
    expect(lines(dir, "steps.jsonl")).toHaveLength(6);
    await withTrainer(kind, async (trainer) => {
      restoreTrainer(trainer, folder.state!);
      await run(trainer, folder);
    });
    expectSame(dir);
  });

  it("continues from a save within an epoch, and saving changes nothing", async () => {
    const dir = join(root, `${kind}-saved`);
    const saved: number[] = [];
    await withTrainer(kind, async (trainer) => {
      const folder = await createRunFolder(dir, { model });
      const dies = run(trainer, folder, {
        saveEvery: 0,
        watch: (event) => {
          if (event.type === "save") saved.push(event.position.step);
          if (event.type === "save" && event.position.step === 10) throw new Error("killed");
        },
      });
      await expect(dies).rejects.toThrow("killed");
    });
    expect(saved).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const folder = await openRunFolder(dir);
    expect(folder.state!.position).toMatchObject({ step: 10, epoch: 1, running: { steps: 4, samples: 32 } });
    await withTrainer(kind, async (trainer) => {
      restoreTrainer(trainer, folder.state!);
      await run(trainer, folder);
    });
    expectSame(dir);
  });

  it("has nothing left to do after the end", async () => {
    const folder = await openRunFolder(whole);
    const before = figures(whole);
    await withTrainer(kind, async (trainer) => {
      restoreTrainer(trainer, folder.state!);
      expect(await run(trainer, folder)).toMatchObject({ type: "end", reason: "done" });
    });
    expect(figures(whole)).toEqual(before);
  });
});
