// capture(): replays give the bits of the same program without it. What they could not repeat: capture-refusals.test.ts.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, currentDevice, fromData, keep, scope, tensor, type Tensor } from "../../engine/index.ts";
import { Conv2d, Dropout, Linear, Module, BatchNorm2d } from "../../nn/index.ts";
import { Adam, crossEntropy, SGD, type Optimizer } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { numbers, results } from "./captured.ts";

beforeAll(testDevice);

/** A little of everything that a training step does. */
class Net extends Module {
  readonly conv = new Conv2d(4, 8, { kernel: 3, padding: 1 });
  readonly bn = new BatchNorm2d(8);
  readonly dropout = new Dropout(0.3);
  readonly fc = new Linear(8, 3);

  override forward(x: Tensor): Tensor {
    const y = this.bn.forward(this.conv.forward(x), { relu: true });
    return this.fc.forward(this.dropout.forward(y.add(y.scale(0.5)).globalAvgPool()));
  }

  override outputShape(): readonly number[] {
    return [3];
  }
}

const images = (count: number, seed: number): Tensor =>
  fromData(Float32Array.from(randomArr([count, 6, 5, 4], seed).data), [count, 6, 5, 4]);
const labels = (count: number, seed: number): Tensor =>
  fromData(
    Uint32Array.from({ length: count }, (_, i) => (i * 7 + seed) % 3),
    [count],
    "u32",
  );

type Make = (model: Net) => Optimizer;

/** Eight training steps of changing rate and size; the losses and all weights afterwards. */
async function train(captured: boolean, make: Make): Promise<{ losses: number[]; weights: number[]; steps: number }> {
  using model = new Net().initialize(3);
  using optimizer = make(model);
  const loss = crossEntropy();
  const eager = (x: Tensor, y: Tensor): { loss: Tensor } => {
    optimizer.zeroGrad();
    const value = loss(model.forward(x), y);
    value.backward();
    optimizer.clipGradNorm(0.5);
    optimizer.step();
    return { loss: value };
  };
  using replayed = capture(eager);
  const step = captured ? replayed : eager;
  const losses: number[] = [];
  for (let i = 0; i < 8; i++) {
    optimizer.setLr(0.1 / (i + 1));
    optimizer.setMomentum(0.9 - 0.05 * i);
    const count = i === 5 ? 3 : 4;
    const out = scope(() => step(images(count, i), labels(count, i)).loss);
    losses.push(await out.item());
    out.dispose();
  }
  const weights = await Promise.all([...model.parameters(), model.bn.runningVar].map((t) => t.data()));
  expect(model.bn.numBatchesTracked.value).toBe(8);
  return { losses, weights: weights.flatMap((values) => [...values]), steps: optimizer.steps };
}

describe("capture", () => {
  it.each<[string, Make]>([
    ["SGD", (model) => new SGD(model.parameters(), { lr: 0.1, momentum: 0.9, weightDecay: 1e-2 })],
    ["AdamW", (model) => new AdamW(model)],
  ])("gives the bits of the eager program, with %s, two sizes, and rates that change", async (_, make) => {
    const eager = await train(false, make);
    const replayed = await train(true, make);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.losses).size).toBe(8);
  });
});

class AdamW extends Adam {
  constructor(model: Net) {
    super(model.parameters(), { weightDecay: 1e-2 }, true);
  }
}

describe("a captured step", () => {
  it("returns new tensors at every call", async () => {
    using step = capture((x: Tensor) => ({ twice: x.scale(2), list: [x.square(), "text"] as const, x }));
    const kept = [1, 2, 3, 4, 5].map((i) => step(numbers(i)));
    const read = kept.map(async ({ twice, list: [square, text], x }) => [
      await twice.item(),
      await square.item(),
      text,
      await x.item(),
    ]);
    expect(await Promise.all(read)).toEqual([1, 2, 3, 4, 5].map((i) => [2 * i, i * i, "text", i]));
    for (const { twice, list, x } of kept) for (const t of [twice, list[0], x]) t.dispose();
  });

  it("takes a part of a tensor, and the same tensor twice", async () => {
    using all = fromData(Float32Array.from({ length: 256 }, (_, i) => i), [256]); // prettier-ignore
    using step = capture((a: Tensor, b: Tensor) => a.add(b.scale(10)).sum());
    const read = async (a: Tensor, b: Tensor): Promise<number> => {
      using y = step(a, b);
      return y.item();
    };
    for (const at of [0, 64, 128]) {
      const [a, b] = [all.range(at, [2]), all.range(192 - at, [2])];
      expect(await read(a, b)).toBe(2 * at + 1 + 10 * (2 * (192 - at) + 1));
      expect(await read(a, a)).toBe(11 * (2 * at + 1));
      for (const t of [a, b]) t.dispose();
    }
  });

  it("has another program for another key, flag or state of gradients", async () => {
    let scale = 2;
    using step = capture((x: Tensor, more: boolean) => x.scale(more ? scale * 10 : scale), { key: () => `${scale}` });
    for (scale of [2, 3, 2, 3, 2]) {
      expect(await results((x) => step(x, false), 2)).toEqual([scale, 2 * scale]);
      expect(await results((x) => step(x, true), 2)).toEqual([10 * scale, 20 * scale]);
    }
  });

  it("may prepare lasting tensors at its first call", async () => {
    let sum: Tensor | null = null;
    const step = capture((x: Tensor) => {
      sum ??= keep(tensor([100]));
      return x.add(sum);
    });
    expect(await results(step, 5)).toEqual([101, 102, 103, 104, 105]);
    step.dispose();
    sum!.dispose();
  });

  it("uses less memory than the eager program, keeps none that grows, and gives all of it back", async () => {
    const device = currentDevice();
    await device.idle();
    const before = device.memory();
    const chain = (x: Tensor): Tensor => {
      x.requiresGrad = false;
      let y = x;
      for (let i = 0; i < 12; i++) y = y.square().shift(0.01);
      return y.mean();
    };
    const peak = (step: (x: Tensor) => Tensor): number => {
      device.resetPeakMemory();
      using x = fromData(
        Float32Array.from({ length: 40_000 }, (_, i) => i / 40_000),
        [40_000],
      );
      scope(() => void step(x));
      return device.memory().peakBytes - before.bytes;
    };
    const eager = peak(chain);
    const step = capture(chain);
    const first = peak(step);
    expect(first).toBeLessThan(eager / 2);
    peak(step);
    const { bytes, tensors } = device.memory();
    for (let i = 0; i < 6; i++) peak(step);
    expect(device.memory()).toMatchObject({ bytes, tensors });
    step.dispose();
    expect(device.memory()).toMatchObject({ bytes: before.bytes, tensors: before.tensors });
  });

  it("compiles beforehand without any effect", async () => {
    using model = new Net().initialize(1);
    using optimizer = new SGD(model.parameters(), { lr: 0.1 });
    using step = capture((x: Tensor, y: Tensor) => {
      optimizer.zeroGrad();
      const value = crossEntropy()(model.forward(x), y);
      value.backward();
      optimizer.step();
      return value;
    });
    using x = images(2, 1);
    using y = labels(2, 1);
    const before = await model.fc.weight.data();
    await step.compile(x, y);
    expect([optimizer.steps, model.dropout.step, model.bn.numBatchesTracked.value]).toEqual([0, 0, 0]);
    expect(await model.fc.weight.data()).toEqual(before);
    const { size } = currentDevice().kernels;
    scope(() => void step(x, y));
    expect(currentDevice().kernels.size).toBe(size);
    expect(optimizer.steps).toBe(1);
  });

  it("prints its dispatches", () => {
    using step = capture((x: Tensor, w: Tensor) => x.conv2d(w, { padding: 1 }).relu(), { name: "block" });
    scope(() => void step(images(2, 1), fromData(Float32Array.from(randomArr([3, 3, 4, 8], 2).data), [3, 3, 4, 8])));
    const text = step.toString();
    expect(text).toMatch(/^block \(f32\[2,6,5,4\], f32\[3,3,4,8\]\)/);
    expect(text).toMatch(/#\s+kernel\s+grid\s+buffers\s+bytes\s+flops/);
    expect(text).toMatch(/conv2d\/\S+ \{.*\}\s+\d+ x 1\s+x=argument0 weight=argument1 y=planned0 .*34,560/);
    expect(text).toMatch(/elementwise\/unary .*=planned0 .*=result0/);
  });
});
