import { beforeAll, describe, expect, it } from "vitest";
import { setGradientSink } from "../../engine/autograd.ts";
import {
  add,
  concat,
  dropout,
  empty,
  fromData,
  keep,
  noGrad,
  ones,
  scope,
  tensor,
  type Tensor,
} from "../../engine/index.ts";
import { map, type Arr } from "../reference/array.ts";
import * as elementwise from "../reference/elementwise.ts";
import * as reduce from "../reference/reduce.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

beforeAll(testDevice);

const gradOf = async (x: Tensor): Promise<unknown> => x.grad!.array();

describe("gradients of several ops", () => {
  it("agree with central differences of the whole", async () => {
    const inputs = { x: randomArr([4, 3, 5], 301), w: randomArr([3, 1], 302), b: randomArr([5], 303) };
    const run = (x: Tensor, w: Tensor, b: Tensor): Tensor =>
      x
        .mul(w)
        .add(b)
        .sigmoid()
        .mul(x)
        .mean({ axes: [0, 2] });
    const reference = (x: Arr, w: Arr, b: Arr): Arr => {
      const gate = elementwise.sigmoid(elementwise.add(elementwise.mul(x, w), b));
      return reduce.mean(elementwise.mul(gate, x), { axes: [0, 2] });
    };
    const how = { kind: ["sum", "exp", "div", "add", "add", "add"], terms: 20, at: 2, scale: 1 } as const;
    await checkOp({ op: "composition", inputs, run, reference, forward: how, gradient: how });
  });

  it("add up where a tensor is used several times", async () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    const a = x.mul(2);
    const b = x.square();
    // a reaches the end over two ways of different length.
    add(a.mul(b), a).sum().backward();
    // d(2 x^3 + 2 x) = 6 x^2 + 2
    expect(await gradOf(x)).toEqual([8, 26, 56]);
  });

  it("reach every leaf once, also through wide fans", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = tensor([3, 4], { requiresGrad: true });
    concat([x, y, x, x.mul(y)])
      .sum()
      .backward();
    expect(await gradOf(x)).toEqual([5, 6]);
    expect(await gradOf(y)).toEqual([2, 3]);
  });

  it("go through thousands of ops", async () => {
    const x = tensor([1], { requiresGrad: true });
    scope(() => {
      let y = x;
      for (let i = 0; i < 3000; i++) y = y.add(1);
      y.backward();
    });
    expect(await gradOf(x)).toEqual([1]);
  });

  it("are zeros behind tensors without elements", async () => {
    const x = tensor([[1, 2, 3]], { requiresGrad: true });
    const steps: ((x: Tensor) => Tensor)[] = [
      (x) => x.mul(empty([0, 3])).relu(),
      (x) => x.gather([]).softmax(),
      (x) => dropout(x.broadcastTo([2, 3]).slice([{ end: 0 }]), 0.5),
    ];
    for (const step of steps) {
      const y = step(x);
      expect(y.shape).toEqual([0, 3]);
      y.sum().backward();
      expect(await gradOf(x)).toEqual([[0, 0, 0]]);
      x.grad = null;
    }
  });

  it("flow to those that asked only", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const constant = tensor([3, 4]);
    x.mul(constant).sum().backward();
    expect(constant.grad).toBeNull();
    expect(await gradOf(x)).toEqual([3, 4]);
  });
});

describe("leaf gradients", () => {
  it("accumulate over backward calls, and start anew after null", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.square();
    y.backward(tensor([1, 1]));
    y.backward(tensor([10, 10]));
    expect(await gradOf(x)).toEqual([22, 44]);
    x.grad!.dispose();
    x.grad = null;
    y.backward(tensor([1, 1]));
    expect(await gradOf(x)).toEqual([2, 4]);
  });

  it("survive the scope of the step, and carry no graph", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    for (let step = 0; step < 2; step++) scope(() => x.mul(x).sum().backward());
    expect(x.grad!.node).toBeNull();
    expect(await gradOf(x)).toEqual([4, 8]);
  });

  it("of a leaf that is the output itself are the upstream gradient", async () => {
    const x = tensor(5, { requiresGrad: true });
    x.backward();
    expect(await gradOf(x)).toBe(1);
  });

  it("are their own: later changes of dy do not show", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const dy = tensor([3, 4]);
    x.add(1).backward(dy);
    dy.dispose();
    expect(await gradOf(x)).toEqual([3, 4]);
  });

  it("are their own: two leaves that get the same do not share it", async () => {
    using a = tensor([1, 2], { requiresGrad: true });
    using b = tensor([3, 4], { requiresGrad: true });
    a.add(b).sum().backward();
    a.grad!.write([9, 9]);
    expect(await b.grad!.array()).toEqual([1, 1]);
    b.grad!.write([7, 7]);
    expect(await a.grad!.array()).toEqual([9, 9]);
    using dy = tensor([5, 6]);
    a.add(b).backward(dy);
    dy.write([0, 0]);
    expect([await a.grad!.array(), await b.grad!.array()]).toEqual([
      [14, 15],
      [12, 13],
    ]);
    a.grad!.dispose();
    b.grad!.dispose();
  });

  it("go to a sink where one is set", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const got: Tensor[] = [];
    setGradientSink(x, { destination: () => null, deposit: (gradient) => void got.push(gradient.mul(1)) });
    x.square().backward(ones([2]));
    expect(x.grad).toBeNull();
    expect(await got[0].array()).toEqual([2, 4]);
    setGradientSink(x, null);
    x.square().backward(ones([2]));
    expect(await gradOf(x)).toEqual([2, 4]);
  });

  it("may be written where the sink says, but not the second one of a leaf, nor that of a frozen one", async () => {
    const target = keep(tensor([7, 7, 7, 7]));
    const weight = tensor([1, 2, 3, 4], { requiresGrad: true });
    const got: { there: boolean; values: number[] }[] = [];
    const reads: Promise<void>[] = [];
    setGradientSink(weight, {
      destination: () => target,
      deposit: (gradient) => {
        const there = gradient.location().buffer === target.location().buffer;
        const copy = gradient.mul(1);
        reads.push(copy.data().then((values) => void got.push({ there, values: [...values] })));
      },
    });
    const x = fromData(randomArr([6, 4], 1).data, [6, 4]);
    const norm = (): Tensor => {
      const [bias, runningMean, runningVar] = [tensor([0, 0, 0, 0]), tensor([0, 0, 0, 0]), tensor([1, 1, 1, 1])];
      return x.batchNorm({ weight, bias, runningMean, runningVar, training: true });
    };
    const dy = fromData(randomArr([6, 4], 2).data, [6, 4]);
    norm().backward(dy);
    norm().add(norm()).backward(dy);
    await Promise.all(reads);
    expect(got.map(({ there }) => there)).toEqual([true, false]);
    expect(got[1].values).toEqual(got[0].values.map((value) => 2 * value));
    await target.write([7, 7, 7, 7]).data();
    weight.requiresGrad = false;
    x.requiresGrad = true;
    norm().backward(dy);
    expect(await target.array()).toEqual([7, 7, 7, 7]);
    setGradientSink(weight, null);
  });
});

describe("noGrad", () => {
  it("records nothing inside, and again afterwards", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    expect(noGrad(() => x.mul(x)).node).toBeNull();
    expect(() =>
      noGrad(() => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(x.mul(x).node?.op).toBe("mul");
  });

  it("is the state of tensors without requiresGrad", () => {
    expect(tensor([1]).square().node).toBeNull();
  });
});

describe("backward", () => {
  it("names what is wrong", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    expect(() => tensor([1]).backward()).toThrow(
      "backward: Tensor f32[1] does not depend on a tensor with requiresGrad",
    );
    expect(() => x.square().backward()).toThrow(
      "backward: Tensor f32[2] is not a scalar, so the upstream gradient must be given",
    );
    expect(() => x.square().backward(tensor([1]))).toThrow(
      "backward: the gradient [1] must have the output's shape [2]",
    );
  });

  it("says so when a tensor that it needs was freed", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const factor = tensor([3, 4]);
    const y = x.mul(factor);
    factor.dispose();
    expect(() => y.backward(ones([2]))).toThrow("elementwise/binary-gradient: this tensor [2] was freed");
  });

  it("says so when the graph was freed on the way: gradients would end there unnoticed", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const moved = scope(() => x.mul(2).reshape([2, 1]));
    expect(() => moved.sum().backward()).toThrow(
      "backward: the result of scale was freed before; return it from its scope() or keep() it",
    );
    const y = x.add(1);
    const z = y.square();
    y.dispose();
    expect(() => z.sum().backward()).toThrow("was freed");
    expect(x.grad).toBeNull();
  });

  it("takes f32 only", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    expect(() => x.square().backward(tensor([1, 2], { dtype: "u32" }))).toThrow(
      "backward: the gradient must be f32 as the output, got Tensor u32[2]",
    );
    expect(() => tensor([1], { dtype: "u32", requiresGrad: true })).toThrow("tensor: gradients need floats, got u32");
  });

  it("leaves nothing behind but leaf gradients", async () => {
    const device = await testDevice();
    const x = toGpu(map(randomArr([6, 8], 311), Math.abs), { requiresGrad: true });
    const b = toGpu(randomArr([8], 312), { requiresGrad: true });
    const before = device.memory();
    const y = x.mul(b).add(b).log().variance({ axes: 0 }).max();
    const forward = device.memory().tensors;
    y.backward();
    // Outside any scope the forward pass' tensors stay: they may be needed again. The walk's own do not.
    expect(device.memory().tensors).toBe(forward + 2);
    x.grad!.dispose();
    b.grad!.dispose();
    x.grad = b.grad = null;
    scope(() => x.mul(b).add(b).log().variance({ axes: 0 }).max().backward());
    x.grad!.dispose();
    b.grad!.dispose();
    expect(device.memory().tensors).toBe(forward);
    expect(forward).toBeGreaterThan(before.tensors);
  });
});
