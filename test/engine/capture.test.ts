// capture(): replays give the bits of the same program without it, and whatever would make them differ is an error.
import { beforeAll, describe, expect, it } from "vitest";
import { capture, currentDevice, fromData, keep, scope, tensor, type Tensor } from "../../engine/index.ts";
import { Conv2d, Dropout, Linear, Module, BatchNorm2d } from "../../nn/index.ts";
import { Adam, crossEntropy, SGD, type Optimizer } from "../../training/index.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

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

const numbers = (...values: number[]): Tensor => keep(fromData(values, [values.length]));

/** Calls a step with the numbers 1, 2, 3, ... and gives what it returns. */
async function results(step: (x: Tensor) => Tensor, calls: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 1; i <= calls; i++) {
    using x = numbers(i);
    using y = scope(() => step(x));
    all.push(await y.item());
  }
  return all;
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

describe("what a replay could not repeat", () => {
  it("a number that changes", async () => {
    let factor = 1;
    const step = capture((x: Tensor) => x.scale(factor++));
    await expect(results(step, 3)).rejects.toThrow(
      /capture: the captured step does not do the same at each call: the number \w+ of elementwise\/unary is 3 now and was 2 when recorded; pass a tensor/,
    );
  });

  it("a number that changes late", async () => {
    let calls = 0;
    let rate = 0.5;
    const step = capture((x: Tensor) => x.scale(rate));
    const later = (x: Tensor): Tensor => {
      if (++calls === 6) rate = 0.25;
      return step(x);
    };
    await expect(results(later, 8)).rejects.toThrow(/is 0.25 now and was 0.5 when recorded/);
  });

  it("numbers as arguments", () => {
    const step = capture((x: Tensor, rate: boolean) => x.scale(Number(rate)));
    using x = numbers(1);
    expect(() => step(x, 0.1 as unknown as boolean)).toThrow(
      /argument 1 of the captured step is 0.1: it would become a constant; pass a tensor/,
    );
  });

  it("reading back inside", () => {
    const step = capture((x: Tensor) => {
      void x.square().data();
      return x;
    });
    using x = numbers(1);
    expect(() => step(x)).toThrow(
      "a captured step cannot read results back; return the tensor and read it after the call",
    );
  });

  it("an await inside", () => {
    const step = capture((x: Tensor) => Promise.resolve(x));
    using x = numbers(1);
    expect(() => step(x)).toThrow(/returned a Promise/);
  });

  it("a tensor of the outside that was freed, its memory used for something else", async () => {
    let batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch));
    const later = (x: Tensor): Tensor => {
      const y = step(x);
      batch.dispose();
      batch = numbers(7);
      return y;
    };
    await expect(results(later, 3)).rejects.toThrow(
      /binary binds another tensor as \w+ than when recorded; pass what changes as an argument/,
    );
    batch.dispose();
  });

  it("a tensor of the outside that was freed after the check", async () => {
    const batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch));
    expect(await results(step, 2)).toEqual([6, 7]);
    batch.dispose();
    using other = numbers(9); // in its memory
    await expect(results(step, 1)).rejects.toThrow(
      /a tensor that elementwise\/binary uses was freed since the step was recorded/,
    );
    expect(await other.item()).toBe(9);
  });

  it("writing into a tensor of the outside", () => {
    using batch = numbers(5);
    const step = capture((x: Tensor) => x.add(batch.write([6])));
    using x = numbers(1);
    expect(() => step(x)).toThrow(/cannot write into a tensor that was there before.*pass the tensor as an argument/);
  });

  it("uploads that change", async () => {
    let value = 1;
    const step = capture((x: Tensor) => x.add(tensor([value++])));
    await expect(results(step, 3)).rejects.toThrow(
      /it uploads other values than when recorded; pass a tensor as an argument/,
    );
  });

  it("a result that is only uploaded", async () => {
    const step = capture(() => tensor([5]));
    await expect(results(step as (x: Tensor) => Tensor, 4)).rejects.toThrow(
      "it returns a tensor that it uploads; pass it as an argument",
    );
  });

  it("another branch", async () => {
    let calls = 0;
    const step = capture((x: Tensor) => (++calls === 3 ? x.exp() : x.square()));
    await expect(results(step, 8)).rejects.toThrow(
      /it runs elementwise\/unary \{.*\} now where it ran elementwise\/unary/,
    );
  });

  it("arguments that want gradients, and the graph of what is returned", () => {
    const step = capture((x: Tensor) => x.square().sum());
    using x = numbers(1);
    x.requiresGrad = true;
    expect(() => step(x)).toThrow(/argument 0 of the captured step requires a gradient: make that tensor inside/);
    using w = tensor([2], { requiresGrad: true });
    const loss = capture((y: Tensor) => w.mul(y).sum());
    using y = numbers(3);
    for (let i = 0; i < 3; i++) {
      using value = loss(y);
      expect(() => value.backward()).toThrow(
        "what a captured step returns has no graph; call backward() inside of the step",
      );
    }
  });

  it("ever new shapes", () => {
    const step = capture((x: Tensor) => x.square());
    const run = (n: number): void =>
      scope(() => void step(fromData(Float32Array.from({ length: n }, (_, i) => i), [n]))); // prettier-ignore
    for (let n = 1; n <= 32; n++) run(n);
    expect(() => run(33)).toThrow(/the captured step got more than 32 shapes of arguments/);
    step.dispose();
  });
});
