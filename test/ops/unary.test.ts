import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import type { Tensor } from "../../engine/index.ts";
import { map, type Arr } from "../reference/array.ts";
import * as reference from "../reference/elementwise.ts";
import { checkOp } from "../support/check-op.ts";
import { randomAwayFromKinks } from "../support/gradient.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { stored } from "../support/half.ts";
import type { Range } from "../support/random.ts";
import type { Kind } from "../support/tolerance.ts";

interface Row {
  run?: (x: Tensor) => Tensor;
  reference?: (x: Arr) => Arr;
  range?: Required<Range>;
  forward: Kind[];
  gradient: Kind[];
  /** Magnitude of the largest intermediate of y and of dx / dy, where they cancel. */
  forwardScale?: (x: number) => number;
  gradientScale?: (x: number) => number;
}

const SIGNED = { min: -4, max: 4 };
const POSITIVE = { min: 0.25, max: 4 };

const rows: Record<string, Row> = {
  relu: { forward: ["exact"], gradient: ["exact"] },
  leakyRelu: { forward: ["add"], gradient: ["add"] },
  gelu: {
    forward: ["erf", "exp", "add"],
    gradient: ["erf", "exp", "add", "add", "add"],
    forwardScale: (x) => Math.abs(x),
    gradientScale: (x) => 1 + Math.abs(x),
  },
  silu: {
    forward: ["exp", "add", "div"],
    gradient: ["exp", "add", "add", "div", "add"],
    gradientScale: (x) => 1 + Math.abs(x),
  },
  sigmoid: { forward: ["exp", "add", "div"], gradient: ["exp", "add", "div", "add", "add"], gradientScale: () => 1 },
  tanh: { forward: ["tanh"], gradient: ["tanh", "tanh", "add", "add"], forwardScale: () => 1, gradientScale: () => 1 },
  exp: { forward: ["exp"], gradient: ["exp", "add"] },
  log: { range: POSITIVE, forward: ["log"], gradient: ["div"] },
  sqrt: { range: POSITIVE, forward: ["sqrt"], gradient: ["sqrt", "div", "add"] },
  abs: { forward: ["exact"], gradient: ["exact"] },
  neg: { forward: ["exact"], gradient: ["exact"] },
  square: { forward: ["add"], gradient: ["add", "add"] },
  reciprocal: { range: POSITIVE, forward: ["div"], gradient: ["div", "div", "add", "add"] },
  "leakyRelu with slope": {
    run: (x) => ops.leakyRelu(x, { slope: 0.3 }),
    reference: (x) => reference.leakyRelu(x, Math.fround(0.3)),
    forward: ["add"],
    gradient: ["add"],
  },
  scale: {
    run: (x) => ops.scale(x, -1.75),
    reference: (x) => map(x, (v) => -1.75 * v),
    forward: ["add"],
    gradient: ["add"],
  },
  shift: {
    run: (x) => ops.shift(x, 2.5),
    reference: (x) => map(x, (v) => v + 2.5),
    forward: ["add"],
    gradient: ["exact"],
  },
};

beforeAll(testDevice);

describe.each(Object.entries(rows))("%s", (op, row) => {
  const library = ops as unknown as Record<string, (x: Tensor) => Tensor>;
  const references = reference as unknown as Record<string, (x: Arr) => Arr>;
  const run = row.run ?? library[op];
  const formula = row.reference ?? references[op];

  // 1, below and above a vec4, several workgroups with a tail.
  it.each([[[1]], [[3]], [[2, 4]], [[5, 7, 3]], [[1023]], [[1025]], [[2, 1030]]])("%j", async (shape) => {
    const range = row.range ?? SIGNED;
    const x = randomAwayFromKinks(shape, 11, range);
    const scaled = (f: ((x: number) => number) | undefined) => (f ? { scale: x.data.map((v) => f(v)) } : {});
    const at = row.forward.includes("exp") ? { at: x.data.map(Math.abs) } : {};
    await checkOp({
      op,
      inputs: { x },
      run: (x) => run(x),
      reference: (x) => formula(x),
      forward: { kind: row.forward, ...at, ...scaled(row.forwardScale) },
      ...(x.data.length <= 1025 ? { gradient: { kind: row.gradient, ...at, ...scaled(row.gradientScale) } } : {}),
    });
  });
});

// Some gradients are computed from y, which is rounded: at most twice.
it.each(Object.entries(rows))("%s in f16", async (op, row) => {
  const run = row.run ?? (ops as unknown as Record<string, (x: Tensor) => Tensor>)[op];
  const formula = row.reference ?? (reference as unknown as Record<string, (x: Arr) => Arr>)[op];
  const x = stored(randomAwayFromKinks([5, 7, 3], 11, row.range ?? SIGNED), "f16");
  const scaled = (f: ((x: number) => number) | undefined) => (f ? { scale: x.data.map((v) => f(v)) } : {});
  const at = row.forward.includes("exp") ? { at: x.data.map(Math.abs) } : {};
  const gradient: Kind[] = row.gradient.includes("exact") ? row.gradient : [...row.gradient, "half", "half"];
  await checkOp({
    op: `${op} in f16`,
    inputs: { x },
    dtype: "f16",
    run: (x) => run(x),
    reference: (x) => formula(x),
    forward: { kind: row.forward, ...at, ...scaled(row.forwardScale) },
    gradient: { kind: gradient, ...at, ...scaled(row.gradientScale) },
  });
});

describe("unary ops", () => {
  it("take gradient 0 at the kinks of relu and abs", async () => {
    const x = toGpu({ shape: [3], data: [0, -0, 1] }, { requiresGrad: true });
    ops.relu(x).backward(toGpu({ shape: [3], data: [5, 6, 7] }));
    expect([...(await x.grad!.data())]).toEqual([0, 0, 7]);
    x.grad = null;
    ops.abs(x).backward(toGpu({ shape: [3], data: [5, 6, 7] }));
    expect([...(await x.grad!.data())]).toEqual([0, 0, 7]);
  });

  it("stay finite at large arguments", async () => {
    const x = toGpu({ shape: [4], data: [-200, -60, 60, 200] });
    expect([...(await ops.tanh(x).data())]).toEqual([-1, -1, 1, 1]);
    expect([...(await ops.sigmoid(x).data())].map((v) => Math.round(v))).toEqual([0, 0, 1, 1]);
    expect([...(await ops.gelu(x).data())].map((v) => Math.abs(v))).toEqual([0, 0, 60, 200]);
  });

  it("run on tensors without elements", async () => {
    expect(await ops.relu(ops.empty([0, 3])).array()).toEqual([]);
  });

  it("refuse u32 tensors, naming the op", () => {
    expect(() => ops.sqrt(ops.empty([2], "u32"))).toThrow("sqrt: needs an f32 or f16 tensor, got Tensor u32[2]");
  });
});

it("relu and tanh keep NaN, as PyTorch does", async () => {
  const x = toGpu({ shape: [3], data: [NaN, -20, 20] });
  const [y, z] = [ops.relu(x), ops.tanh(x)];
  expect([...(await y.data())]).toEqual([NaN, 0, 20]);
  expect([...(await z.data())]).toEqual([NaN, -1, 1]);
  for (const tensor of [x, y, z]) tensor.dispose();
});

it("relu's gradient at NaN is what comes in, as PyTorch's", async () => {
  const x = toGpu({ shape: [4], data: [NaN, -20, 0, 20] }, { requiresGrad: true });
  ops.scope(() =>
    ops
      .relu(x)
      .mul(toGpu({ shape: [4], data: [3, 5, 7, 11] }))
      .sum()
      .backward(),
  );
  expect([...(await x.grad!.data())]).toEqual([3, 0, 0, 11]);
  x.grad!.dispose();
  x.dispose();
});
