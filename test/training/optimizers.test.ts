// What a step computes: against the float64 reference and PyTorch's stored weights.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Tensor } from "../../engine/index.ts";
import { Adam, AdamW, SGD, type Optimizer } from "../../training/optimizers/index.ts";
import { values } from "../pytorch/formula.ts";
import { type Arr } from "../reference/array.ts";
import { adamState, adamStep, sgdStep, type AdamState, type SgdState } from "../reference/optimizers.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { disposeAll, giveGradient, parameter, positive } from "../support/parameters.ts";
import { randomArr } from "../support/random.ts";
import { expectClose, type Kind } from "../support/tolerance.ts";

beforeAll(testDevice);

interface Settings {
  lr: number;
  weightDecay?: number;
}

interface Kit<State> {
  make: (groups: { params: Tensor[]; lr?: number; weightDecay?: number }[]) => Optimizer;
  begin: (w: Arr) => State;
  step: (w: Arr, g: Arr, state: State, settings: Settings) => { w: Arr; state: State };
}

const sgd: Kit<SgdState> = {
  make: (groups) => new SGD(groups, { lr: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.01 }),
  begin: () => ({}),
  step: (w, g, state, settings) => sgdStep(w, g, state, { momentum: 0.9, dampening: 0.5, ...settings }),
};
const nesterov: Kit<SgdState> = {
  make: (groups) => new SGD(groups, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
  begin: () => ({}),
  step: (w, g, state, settings) => sgdStep(w, g, state, { momentum: 0.9, nesterov: true, ...settings }),
};
const plain: Kit<SgdState> = {
  make: (groups) => new SGD(groups, { lr: 0.1, weightDecay: 0.01 }),
  begin: () => ({}),
  step: (w, g, state, settings) => sgdStep(w, g, state, settings),
};
const adam: Kit<AdamState> = {
  make: (groups) => new Adam(groups, { lr: 0.1, betas: [0.8, 0.99], eps: 1e-6, weightDecay: 0.01 }),
  begin: adamState,
  step: (w, g, state, settings) => adamStep(w, g, state, { betas: [0.8, 0.99], eps: 1e-6, ...settings }),
};
const adamW: Kit<AdamState> = {
  make: (groups) => new AdamW(groups, { lr: 0.1, weightDecay: 0.01 }),
  begin: adamState,
  step: (w, g, state, settings) => adamStep(w, g, state, { decoupled: true, ...settings }),
};

const roundings: Kind[] = Array.from({ length: 4 }, (): Kind[] => [
  "add",
  "add",
  "add",
  "add",
  "add",
  "sqrt",
  "div",
]).flat();

async function followsReference<State>(kit: Kit<State>): Promise<void> {
  const shapes = [[1], [3, 3, 5, 7], [64], [65], [2, 3]];
  // Parameters 0, 1 in the default group; 2, 3 with their own rate and decay; 4 frozen.
  const own = { lr: 0.02, weightDecay: 0.3 };
  let expected = shapes.map((shape, i) => positive(shape, i + 1));
  const start = expected[4];
  const tensors = expected.map(parameter);
  tensors[4].requiresGrad = false;
  const optimizer = kit.make([
    { params: tensors.slice(0, 2) },
    { params: tensors.slice(2, 4), ...own },
    { params: tensors.slice(4) },
  ]);
  let states = expected.map(kit.begin);
  for (let step = 0; step < 4; step++) {
    optimizer.zeroGrad();
    const stepped = expected.map((w, i) => {
      const g = randomArr(shapes[i], 100 * step + i);
      if (i === 4) return { w, state: states[i] };
      giveGradient(tensors[i], g);
      return kit.step(w, g, states[i], i < 2 ? { lr: 0.1, weightDecay: 0.01 } : own);
    });
    optimizer.step();
    expected = stepped.map((s) => s.w);
    states = stepped.map((s) => s.state);
  }
  for (const [i, tensor] of tensors.entries()) {
    const how = { op: "step", shapes: { w: shapes[i] }, options: { parameter: i }, kind: roundings, scale: 6 };
    expectClose(await tensor.data(), expected[i], how);
  }
  expect([...(await tensors[4].data())]).toEqual([...start.data]);
  optimizer.dispose();
  disposeAll(tensors);
}

describe("four steps with two groups and a frozen one follow the float64 reference", () => {
  it("SGD", () => followsReference(plain));
  it("SGD with momentum, dampening and decay", () => followsReference(sgd));
  it("SGD with Nesterov momentum", () => followsReference(nesterov));
  it("Adam", () => followsReference(adam));
  it("AdamW", () => followsReference(adamW));
});

interface StoredOptimizer {
  optimizer: "SGD" | "Adam" | "AdamW";
  options: {
    lr: number;
    momentum?: number;
    dampening?: number;
    nesterov?: boolean;
    weight_decay?: number;
    betas?: [number, number];
    eps?: number;
  };
  after: number[][];
}

const stored = JSON.parse(readFileSync(new URL("../pytorch/reference.json", import.meta.url), "utf8")) as {
  ops: { optimizers: StoredOptimizer[] };
};

it.each(stored.ops.optimizers)(
  "$optimizer $options gives PyTorch's stored weights",
  async ({ optimizer: kind, options, after }) => {
    const w = toGpu({ shape: [5], data: values("ops.optimizer.w", 5) }, { requiresGrad: true });
    const { weight_decay, betas, ...rest } = options;
    const all = {
      ...rest,
      ...(weight_decay === undefined ? {} : { weightDecay: weight_decay }),
      ...(betas ? { betas } : {}),
    };
    const optimizer = kind === "SGD" ? new SGD([w], all) : kind === "Adam" ? new Adam([w], all) : new AdamW([w], all);
    for (const [step, want] of after.entries()) {
      optimizer.zeroGrad();
      w.backward(toGpu({ shape: [5], data: values(`ops.optimizer.g${step}`, 5) }));
      optimizer.step();
      expectClose(await w.data(), want, {
        op: kind,
        shapes: { w: [5] },
        options: { ...options, step },
        kind: roundings,
        scale: 1,
      });
    }
    optimizer.dispose();
    w.dispose();
  },
);

it("accumulates gradients until zeroGrad, and takes a parameter without gradient as zero", async () => {
  const [a, b] = [parameter(positive([70], 1)), parameter(positive([3], 2))];
  const optimizer = new SGD([a, b], { lr: 1 });
  const [g1, g2, g3] = [randomArr([70], 3), randomArr([70], 4), randomArr([3], 5)];
  giveGradient(a, g1);
  giveGradient(a, g2);
  giveGradient(b, g3);
  expectClose(
    await a.grad!.data(),
    g1.data.map((value, i) => value + g2.data[i]),
    { op: "grad", shapes: { a: [70] }, kind: "add" },
  );
  optimizer.step();
  const [wa, wb] = [await a.data(), await b.data()];
  optimizer.zeroGrad();
  expect(a.grad).toBeNull();
  giveGradient(b, g3);
  optimizer.step();
  expect([...(await a.data())]).toEqual([...wa]);
  expect([...(await b.data())]).not.toEqual([...wb]);
  optimizer.dispose();
  disposeAll([a, b]);
});

it("clips to the common norm of all parameters", async () => {
  const tensors = [parameter(positive([70], 1)), parameter(positive([3], 2)), parameter(positive([9], 3))];
  const optimizer = new SGD(tensors, { lr: 1 });
  const gradients = tensors.map((tensor, i) => randomArr([...tensor.shape], 10 + i));
  tensors.forEach((tensor, i) => giveGradient(tensor, gradients[i]));
  optimizer.zeroGrad();
  // Of the last one only the stale gradient remains: it must not count.
  tensors.slice(0, 2).forEach((tensor, i) => giveGradient(tensor, gradients[i]));
  const norm = Math.hypot(...gradients[0].data, ...gradients[1].data);
  const reported = optimizer.clipGradNorm(norm / 4);
  expectClose(await reported.data(), [norm, 0.25], { op: "clipGradNorm", shapes: {}, terms: 73, scale: norm });
  const got = await tensors[0].grad!.data();
  expectClose(
    got,
    gradients[0].data.map((value) => value / 4),
    { op: "clipped", shapes: {}, terms: 73 },
  );
  expect(() => optimizer.clipGradNorm(0)).toThrow("maxNorm must be positive");
  optimizer.dispose();
  disposeAll(tensors);
});

it("says what optimizers are made of", () => {
  const tensor = parameter(randomArr([3], 1));
  const model = { parameters: () => [tensor] } as unknown as Tensor[];
  class Net {}
  const list = "must be a list, as model.parameters() gives, got";
  for (const [make, message] of [
    [() => new SGD([tensor], undefined!), "SGD: lr is missing, as in new SGD(model.parameters(), { lr: 0.1 })"],
    [() => new SGD([tensor], 0.1 as unknown as { lr: number }), "SGD: lr is missing, as in"],
    [() => new SGD([tensor], { momentum: 0.9 } as unknown as { lr: number }), "SGD: lr is missing, as in"],
    [() => new SGD(model, { lr: 0.1 }), `SGD: parameters ${list} a Object`],
    [() => new Adam(new Net() as Tensor[]), `Adam: parameters ${list} a Net`],
    [() => new AdamW(undefined!), `AdamW: parameters ${list} undefined`],
    [() => new AdamW([{ params: model }]), `AdamW: a group's params ${list} a Object`],
    [
      () => new Adam([tensor], 0.1 as unknown as object),
      "Adam: the options must be an object, as in { lr: 0.001 }, got 0.1",
    ],
  ] as const) {
    expect(make).toThrow(message);
  }
  // Nothing has taken the parameter.
  new SGD([tensor], { lr: 0.1 }).dispose();
  tensor.dispose();
});
