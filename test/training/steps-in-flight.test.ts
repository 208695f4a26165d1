// How far the host may be ahead of the GPU, and how seldom it reads figures back.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Choice, Device } from "../../engine/index.ts";
import { Flatten, Linear, Sequential } from "../../nn/index.ts";
import { SGD, Trainer, type StepEvent, type TrainerOptions } from "../../training/index.ts";
import { InFlight } from "../../training/in-flight.ts";
import { testDevice } from "../support/gpu.ts";
import { tinyTrain } from "../support/tiny-data.ts";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

const STEPS = 40;

/** A linear layer and images for one epoch of 40 steps. */
function setUp(beforeStep?: TrainerOptions["beforeStep"]) {
  const train = tinyTrain(STEPS);
  const model = new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);
  const optimizer = new SGD(model.parameters(), { lr: 1e-4 });
  const trainer = new Trainer({ model, optimizer, batchSize: 1, ...(beforeStep && { beforeStep }) });
  const dispose = (): void => [trainer, optimizer, model, train].forEach((owner) => owner.dispose());
  const run = async (): Promise<StepEvent[]> => {
    const steps: StepEvent[] = [];
    for await (const event of trainer.fit(train, { epochs: 1 })) if (event.type === "step") steps.push(event);
    return steps;
  };
  return { train, trainer, run, [Symbol.dispose]: dispose };
}

/** A promise to be settled by hand. */
function deferred() {
  let [resolve, reject]: [() => void, (error: Error) => void] = [() => undefined, () => undefined];
  const promise = new Promise<void>((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}

const soon = (): Promise<void> => new Promise((done) => setTimeout(done, 50));

describe("InFlight", () => {
  it("waits for the oldest until no more than so many are left", async () => {
    const works = [deferred(), deferred(), deferred()];
    const queue = new InFlight();
    for (const { promise } of works) queue.push(promise);
    let passed = false;
    const waiting = queue.waitFor(1).then(() => (passed = true));
    await queue.waitFor(3);
    works[0].resolve();
    works[2].resolve();
    await soon();
    expect(passed).toBe(false);
    works[1].resolve();
    await waiting;
    await queue.waitFor(0);
  });

  it("rejects where one fails that is waited for, and not before", async () => {
    const [good, bad] = [deferred(), deferred()];
    const queue = new InFlight();
    for (const { promise } of [good, bad]) queue.push(promise);
    bad.reject(new Error("lost"));
    good.resolve();
    await soon(); // an unhandled rejection would end the process
    await queue.waitFor(1);
    await expect(queue.waitFor(0)).rejects.toThrow("lost");
    queue.push(Promise.reject(new Error("again")));
    await queue.settled();
    await queue.waitFor(0);
  });
});

describe("steps in flight", () => {
  it.each([
    ["one on a software GPU, whose steps are long", true, 1],
    ["two on others", false, 2],
  ])("are %s", async (_, software, most) => {
    const { info } = device;
    let recorded = 0;
    using training = setUp(() => void recorded++);
    const works: ReturnType<typeof deferred>[] = [];
    Object.assign(device, { info: { ...info, software } });
    const idle = vi.spyOn(device, "idle").mockImplementation(() => {
      works.push(deferred());
      return works.at(-1)!.promise;
    });
    try {
      const running = training.run();
      for (let done = 0; done < 3; done++) {
        await vi.waitFor(() => expect(recorded).toBe(most + 1 + done), { timeout: 20_000 });
        await soon();
        expect([recorded, works.length]).toEqual([most + 1 + done, most + 1 + done]);
        works[done].resolve();
      }
      idle.mockResolvedValue(undefined);
      for (const { resolve } of works) resolve();
      expect(await running).toHaveLength(STEPS);
    } finally {
      idle.mockRestore();
      Object.assign(device, { info });
    }
  });
});

describe("figures of steps", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
  afterEach(() => void vi.useRealTimers());

  /** How often a run of 40 steps reads from the GPU, of which each takes so long. */
  async function countReads(milliseconds: number): Promise<number> {
    using training = setUp(() => void vi.advanceTimersByTime(milliseconds));
    const read = vi.spyOn(device, "read");
    try {
      expect((await training.run()).map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i));
      return read.mock.calls.length;
    } finally {
      read.mockRestore();
    }
  }

  it("are read after the first step, when the log of 32 is full, and at the end", async () => {
    expect(await countReads(1)).toBe(3);
  });

  it("are read about twice a second", async () => {
    // After the steps 1, 7, 13, ... 37, when more than 500 ms have passed, and at the end.
    expect(await countReads(100)).toBe(8);
  });
});

describe("Trainer.tune", () => {
  const choice = (shape: string): Choice => ({
    op: "test of tune",
    shape,
    variants: ["slow", "quick"],
    fixed: "slow",
    flops: 1e12,
    inputs: [{ shape: [300, 1000], dtype: "f32" }],
    run: (variant, [x]) => {
      for (let i = 0; i < (variant === "slow" ? 40 : 1); i++) x.square();
    },
  });

  /** The choices that the step meets, each time that it is looked at. */
  async function tune(
    met: readonly (readonly string[])[],
    signal?: AbortSignal,
  ): Promise<{ measured: number; looks: number }> {
    using training = setUp();
    const open = vi.spyOn(device.choices, "open", "get");
    for (const shapes of met) open.mockReturnValueOnce(shapes.map((shape) => ({ ...choice(shape), uses: 1 })));
    const compile = vi.spyOn(training.trainer, "compile");
    try {
      const measured = await training.trainer.tune(training.train, signal ? { signal } : {});
      return { measured, looks: compile.mock.calls.length };
    } finally {
      open.mockRestore();
    }
  }

  it("measures until the step has no more choices: a kernel that was chosen may bring its own", async () => {
    expect(await tune([["a", "b"], ["c"], []])).toEqual({ measured: 3, looks: 3 });
    const names = ["a", "b", "c"].map((shape) => `test of tune ${shape}`);
    expect(names.map((name) => device.choices.measured[name])).toEqual(["quick", "quick", "quick"]);
  });

  it("ends where it is aborted", async () => {
    expect(await tune([["d"], ["e"]], AbortSignal.abort())).toEqual({ measured: 0, looks: 1 });
    expect(device.choices.measured).not.toHaveProperty("test of tune d");
  });
});
