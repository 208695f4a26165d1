// What optimizers keep: frozen parameters, saved state, rates of groups, memory.
import { beforeAll, expect, it } from "vitest";
import { flattenParameters, type Tensor } from "../../engine/index.ts";
import { Adam, AdamW, SGD, type Optimizer } from "../../training/optimizers/index.ts";
import { testDevice } from "../support/gpu.ts";
import { disposeAll, giveGradient, parameter, positive } from "../support/parameters.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

it("unfreezes and freezes parameters between steps", async () => {
  const [a, b] = [parameter(positive([5], 1)), parameter(positive([5], 2))];
  b.requiresGrad = false;
  const optimizer = new AdamW([a, b], { lr: 0.1 });
  const before = await b.data();
  optimizer.step();
  expect([...(await b.data())]).toEqual([...before]);
  b.requiresGrad = true;
  const frozen = await a.data();
  a.requiresGrad = false;
  optimizer.step();
  expect([...(await b.data())]).not.toEqual([...before]);
  expect([...(await a.data())]).toEqual([...frozen]);
  optimizer.dispose();
  disposeAll([a, b]);
});

it.each(["SGD", "Adam", "AdamW"])("%s resumed from its state continues with the same bits", async (kind) => {
  const make = (params: Tensor[]): Optimizer => {
    const groups = [{ params: params.slice(0, 1), lr: 0.01 }, { params: params.slice(1) }];
    if (kind === "SGD") return new SGD(groups, { lr: 0.1, momentum: 0.9, dampening: 0.1 });
    return kind === "Adam" ? new Adam(groups, { lr: 0.1 }) : new AdamW(groups, { lr: 0.1 });
  };
  const run = (optimizer: Optimizer, from: number, to: number): void => {
    for (let step = from; step < to; step++) {
      optimizer.setLr(0.1 / (step + 1));
      optimizer.setMomentum(0.9 - 0.05 * step);
      optimizer.zeroGrad();
      optimizer.parameters.forEach((w, i) => giveGradient(w, randomArr([...w.shape], 10 * step + i)));
      optimizer.step();
    }
  };
  const tensors = [parameter(positive([67], 1)), parameter(positive([2, 5], 2))];
  const first = make(tensors);
  run(first, 0, 3);
  const saved = await first.state();
  const copies = await Promise.all(
    tensors.map(async (w) => parameter({ shape: [...w.shape], data: Float64Array.from(await w.data()) })),
  );
  const second = make(copies);
  second.loadState(saved);
  expect([second.steps, second.lr, second.momentum, second.groupLrs]).toEqual([
    3,
    first.lr,
    first.momentum,
    first.groupLrs,
  ]);
  run(first, 3, 5);
  run(second, 3, 5);
  for (const [i, w] of tensors.entries()) expect(await copies[i].data()).toEqual(await w.data());
  expect(await second.state()).toEqual(await first.state());
  const now = [second.steps, second.lr, second.groupLrs];
  expect(() => second.loadState({ ...saved, tensors: {} })).toThrow("the saved state has nothing for");
  const odd = { ...saved.scalars, steps: 7, lr: 0.5, [kind === "SGD" ? "momentum" : "beta1"]: 2 };
  expect(() => second.loadState({ ...saved, scalars: odd })).toThrow(/momentum|beta1/);
  expect([second.steps, second.lr, second.groupLrs]).toEqual(now);
  first.dispose();
  second.dispose();
  disposeAll([...tensors, ...copies]);
});

it("state() is of one moment, whatever steps come while it is read back", async () => {
  const w = parameter(positive([5], 1));
  using optimizer = new Adam([w], { lr: 0.1 });
  giveGradient(w, randomArr([5], 2));
  optimizer.step();
  const want = await optimizer.state();
  const reading = optimizer.state();
  optimizer.step();
  expect(await reading).toEqual(want);
  expect(await optimizer.state()).not.toEqual(want);
});

it("setLr keeps the ratio of groups with a rate of their own", () => {
  const [a, b] = [parameter(positive([2], 1)), parameter(positive([2], 2))];
  const optimizer = new SGD([{ params: [a] }, { params: [b], lr: 0.05 }], { lr: 0.1 });
  optimizer.setLr(1);
  expect(optimizer.groupLrs).toEqual([1, 0.5]);
  optimizer.dispose();
  disposeAll([a, b]);
});

it("holds the same memory over 20 steps, and frees its own", async () => {
  const device = await testDevice();
  const tensors = [parameter(positive([70], 1)), parameter(positive([1000], 2))];
  const before = device.memory();
  const optimizer = new Adam(tensors);
  const during: object[] = [];
  for (let step = 0; step < 20; step++) {
    optimizer.zeroGrad();
    tensors.forEach((w, i) => giveGradient(w, randomArr([...w.shape], step + i)));
    optimizer.clipGradNorm(1);
    optimizer.step();
    const { tensors: count, bytes } = device.memory();
    during.push({ count, bytes });
  }
  expect(new Set(during.map((report) => JSON.stringify(report))).size).toBe(1);
  const kept = await tensors[0].data();
  optimizer.dispose();
  expect([...(await tensors[0].data())]).toEqual([...kept]);
  expect(tensors[0].grad).toBeNull();
  disposeAll(tensors);
  expect(device.memory().tensors).toBe(before.tensors - 2);
});

it("lets a second optimizer take parameters over, and the first be disposed of afterwards", async () => {
  const w = parameter(positive([5], 1));
  const before = await w.data();
  const finder = new SGD([w], { lr: 0.1 });
  const optimizer = new SGD([w], { lr: 1 });
  const taken = "SGD: another optimizer has taken its parameters over; dispose of this one, and use that";
  expect(() => finder.step()).toThrow(taken);
  expect(() => finder.clipGradNorm(1)).toThrow(taken);
  finder.dispose();
  const g = randomArr([5], 2);
  giveGradient(w, g);
  optimizer.step();
  expectClose(
    await w.data(),
    g.data.map((value, i) => before[i] - value),
    { op: "step", shapes: {}, kind: "add", scale: 6 },
  );
  optimizer.dispose();
  expect(() => optimizer.step()).toThrow("SGD: it was disposed");
  w.dispose();
});

it("refuses options out of range with one line", () => {
  const w = parameter(positive([2], 1));
  const cases: [() => unknown, string][] = [
    [() => new SGD([], { lr: 1 }), "SGD: there are no parameters to train"],
    [() => new SGD([w], { lr: -1 }), "SGD: lr must not be negative, got -1"],
    [() => new SGD([w], { lr: NaN }), "SGD: lr must be a number, got NaN"],
    [() => new SGD([w], { lr: 1, momentum: 1 }), "SGD: momentum must be from 0 up to below 1, got 1"],
    [() => new SGD([w], { lr: 1, nesterov: true }), "SGD: nesterov needs a momentum above 0 and no dampening"],
    [
      () => new SGD([w], { lr: 1, momentum: 0.9, dampening: 0.1, nesterov: true }),
      "SGD: nesterov needs a momentum above 0 and no dampening",
    ],
    [() => new SGD([w], { lr: 1, weightDecay: -0.1 }), "SGD: weightDecay must not be negative, got -0.1"],
    [() => new Adam([w], { betas: [0.9, 1] }), "Adam: betas must be from 0 up to below 1, got 0.9, 1"],
    [() => new AdamW([w], { betas: [-0.1, 0.9] }), "AdamW: betas must be from 0 up to below 1, got -0.1, 0.9"],
    [() => new Adam([w], { eps: -1 }), "Adam: eps must not be negative, got -1"],
    [
      () =>
        new SGD(
          Array.from({ length: 9 }, () => ({ params: [w] })),
          { lr: 1 },
        ),
      "SGD: at most 8 parameter groups, got 9",
    ],
    [() => new SGD([w], { lr: 1 }).setMomentum(0.5), "SGD: it was made without momentum"],
  ];
  for (const [make, message] of cases) expect(make).toThrow(message);
  flattenParameters([w]).dispose();
  w.dispose();
});
