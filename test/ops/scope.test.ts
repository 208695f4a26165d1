import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { concat, div, keep, relu, scope, sub, tensor, type Device, type Tensor } from "../../engine/index.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

let device: Device;
let start = 0;
const live = (): number => device.memory().tensors - start;

beforeAll(async () => {
  device = await testDevice();
});
beforeEach(() => {
  start = device.memory().tensors;
});

describe("scope", () => {
  it("frees what was born inside, and nothing else", async () => {
    const outside = tensor([1, 2]);
    let inside: Tensor | null = null;
    scope(() => {
      inside = outside.mul(2);
      expect(live()).toBe(2);
    });
    expect(live()).toBe(1);
    expect(inside!.disposed).toBe(true);
    expect(await outside.array()).toEqual([1, 2]);
    outside.dispose();
    expect(live()).toBe(0);
  });

  it.each<[string, (x: Tensor) => unknown, number]>([
    ["a tensor", (x) => x.add(1), 1],
    ["an array", (x) => [x.add(1), x.add(2), null], 2],
    ["nested objects", (x) => ({ a: x.add(1), deep: { list: [x.add(2)] }, n: 5 }), 2],
    ["something else", () => 7, 0],
  ])("keeps what is returned: %s", (_what, make, kept) => {
    const result = scope(() => {
      const x = tensor([1, 2]);
      x.mul(3);
      return make(x);
    });
    expect(live()).toBe(kept);
    scope(() => {
      // Returned tensors of a scope without one around belong to nobody: they are freed by hand.
      expect(live()).toBe(kept);
    });
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      if ("dispose" in value) (value as Tensor).dispose();
      else Object.values(value).forEach(visit);
    };
    visit(result);
    expect(live()).toBe(0);
  });

  it("hands what is returned to the scope around", () => {
    scope(() => {
      const inner = scope(() => tensor([1]).add(1));
      expect(inner.disposed).toBe(false);
      expect(live()).toBe(1);
    });
    expect(live()).toBe(0);
  });

  it("leaves what is kept, however deep", () => {
    const kept = scope(() => scope(() => ({ tensor: keep(tensor([1]).add(1)) }).tensor));
    let alsoKept: Tensor | null = null;
    scope(() => scope(() => void (alsoKept = keep(tensor([1])))));
    expect(live()).toBe(2);
    kept.dispose();
    alsoKept!.dispose();
    expect(live()).toBe(0);
  });

  it("frees when the function throws", () => {
    expect(() =>
      scope(() => {
        tensor([1]).add(1);
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(live()).toBe(0);
  });

  it("refuses a Promise, and frees", () => {
    expect(() => scope(() => Promise.resolve(tensor([1])))).toThrow("scope: the function returned a Promise");
    expect(() => scope(async () => tensor([1]).item())).toThrow("scope: the function returned a Promise");
    expect(live()).toBe(0);
  });

  it("counts views of one storage once, and frees it with the last", async () => {
    const view = scope(() => tensor([1, 2, 3, 4]).reshape([2, 2]).reshape([4, 1]));
    expect(live()).toBe(1);
    expect(await view.array()).toEqual([[1], [2], [3], [4]]);
    view.dispose();
    expect(live()).toBe(0);
  });

  it("keeps a repeated step from growing", () => {
    const x = toGpu(randomArr([16, 64], 401), { requiresGrad: true });
    const bias = toGpu(randomArr([64], 402), { requiresGrad: true });
    const step = (): void => {
      scope(() => x.mul(x).add(bias).relu().mean().backward());
      for (const leaf of [x, bias]) {
        leaf.grad!.dispose();
        leaf.grad = null;
      }
    };
    step();
    const after = device.memory();
    for (let i = 0; i < 5; i++) step();
    expect(device.memory()).toEqual(after);
    x.dispose();
    bias.dispose();
    expect(live()).toBe(0);
  });
});

describe("a freed tensor", () => {
  it("is refused by ops and readbacks, with the way out", async () => {
    const x = tensor([1, 2]);
    x.dispose();
    x.dispose();
    expect(live()).toBe(0);
    const message = "this tensor [2] was freed; return it from its scope() or keep() it";
    expect(() => relu(x)).toThrow(`elementwise/unary: ${message}`);
    expect(() => x.reshape([2, 1])).toThrow(message);
    expect(() => x.write([1, 2])).toThrow(`write: ${message}`);
    await expect(x.data()).rejects.toThrow(`data: ${message}`);
  });

  it("leaves no result behind when an op refuses it", () => {
    scope(() => {
      const x = tensor([1, 2]);
      x.dispose();
      expect(() => x.mul(2)).toThrow("was freed");
    });
    expect(live()).toBe(0);
  });
});

describe("ops that are made of others", () => {
  const halves = (): Tensor => tensor([[1, 2, 3, 4]], { dtype: "f16" });
  const image = (dtype: "f32" | "f16" = "f32"): Tensor => tensor([[[[1, 2, 3]]]], { dtype });
  it.each<[string, () => Tensor, (x: Tensor) => Tensor]>([
    ["x / 2", () => tensor([1, 2]), (x) => x.div(2)],
    ["max(x, 2)", () => tensor([1, 2]), (x) => x.maximum(2)],
    ["1 - x", () => tensor([1, 2]), (x) => sub(1, x)],
    ["1 / x", () => tensor([1, 2]), (x) => div(1, x)],
    ["halves turned", halves, (x) => x.permute()],
    ["halves picked", halves, (x) => x.gather([0, 0])],
    ["halves / 2", halves, (x) => x.div(2)],
    ["2 / halves", halves, (x) => div(2, x)],
    ["halves joined", halves, (x) => concat([x, x])],
    ["variance of halves", halves, (x) => x.variance()],
    ["max-pooling", image, (x) => x.maxPool2d({ kernel: 1 })],
    ["mean of odd halves", () => image("f16"), (x) => x.globalAvgPool()],
  ])("leave nothing behind without a scope: %s", (_, make, op) => {
    const x = make();
    const y = op(x);
    expect(live()).toBe(2);
    y.dispose();
    x.dispose();
    expect(live()).toBe(0);
  });

  it("keep what the graph of their result needs, for the scope around", async () => {
    const x = tensor([[1, 2, 4, 5]], { dtype: "f16", requiresGrad: true });
    scope(() => sub(1, x.permute().div(2)).sum().backward());
    expect(await x.grad!.array()).toEqual([[-0.5, -0.5, -0.5, -0.5]]);
    x.grad!.dispose();
    x.dispose();
    expect(live()).toBe(0);
  });
});
