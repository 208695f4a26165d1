// Every schedule against what PyTorch's scheduler of that name computed (test/pytorch/make-schedules.py).
import { describe, expect, it } from "vitest";
import * as schedules from "../../training/schedules/index.ts";
import { ratesAt, reduceLROnPlateau, sequential, type Schedule } from "../../training/schedules/index.ts";
import reference from "../pytorch/schedules.json" with { type: "json" };

/** DESIGN's promise: PyTorch's numbers to 1e-12, relative to the largest of the column. */
const promised = 1e-12;

function expectColumn(got: readonly number[], want: readonly number[]): void {
  const scale = Math.max(...want.map(Math.abs));
  expect(got).toHaveLength(want.length);
  want.forEach((value, row) => {
    expect(Math.abs(got[row] - value) / scale, `row ${row}: got ${got[row]}, want ${value}`).toBeLessThanOrEqual(
      promised,
    );
  });
}

const camelCase = (options: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      value as unknown,
    ]),
  );

function ours(name: string, lr: number, given: object): Schedule {
  const options = { lr, ...camelCase(given) } as never;
  const makers: Record<string, () => Schedule> = {
    constant: () => schedules.constant(options),
    linear: () => schedules.linear(options),
    polynomial: () => schedules.polynomial(options),
    step: () => schedules.stepDecay(options),
    cosine: () => schedules.cosineAnnealing(options),
    lambda: () => schedules.lambdaSchedule({ lr, factor: (k) => 0.95 ** k / (1 + k) }),
    "warm-restarts": () => schedules.cosineAnnealingWarmRestarts(options),
    cyclic: () => schedules.cyclic(options),
    onecycle: () => schedules.oneCycle(options),
  };
  return makers[name]();
}

describe(`PyTorch ${reference.torch}`, () => {
  it.each(reference.columns.map((column) => [column.name, JSON.stringify(column.options), column] as const))(
    "%s %s",
    (name, _, { lr, options, lrs, momenta }) => {
      const schedule = ours(name, lr, options);
      const rates = lrs.map((_value, step) => schedule(step));
      expectColumn(
        rates.map((rate) => rate.lr),
        lrs,
      );
      const cycles = ["cyclic", "onecycle"].includes(name) && !("cycle_momentum" in options);
      if (cycles) {
        expectColumn(
          rates.map(({ momentum }) => momentum!),
          momenta,
        );
      } else expect(rates.every((rate) => rate.momentum === undefined)).toBe(true);
    },
  );

  it.each(reference.sequential)("SequentialLR at $milestones", ({ lr, milestones, children, lrs }) => {
    const parts = children.map(([name, options]) => ours(name as string, lr, options as object));
    const schedule = sequential({ schedules: parts, milestones });
    expectColumn(
      lrs.map((_, step) => schedule(step).lr),
      lrs,
    );
  });

  it.each(reference.plateau.map((run) => [JSON.stringify(run.options), run] as const))(
    "ReduceLROnPlateau %s, also continued in the middle",
    (_, { lr, options, metrics, lrs }) => {
      const make = () => reduceLROnPlateau({ lr, ...camelCase(options) });
      let plateau = make();
      const got = metrics.map((metric, epoch) => {
        const before = plateau.at(0).lr;
        const reduced = plateau.observe(metric);
        const after = ratesAt(plateau, epoch).lr;
        expect(reduced).toBe(after !== before);
        const state = JSON.parse(JSON.stringify(plateau.state())) as Record<string, number>;
        plateau = make();
        expect(() => plateau.loadState({ best: 1 })).toThrow("reduceLROnPlateau: the saved state lacks one of lr");
        plateau.loadState(state);
        return after;
      });
      expectColumn(got, lrs);
    },
  );

  it.each(reference.restarts)("CosineAnnealingWarmRestarts at fractions of epochs", ({ lr, options, points, lrs }) => {
    const schedule = ours("warm-restarts", lr, options);
    expectColumn(
      points.map((point) => schedule(point).lr),
      lrs,
    );
  });
});

describe("published runs", () => {
  it("a plateau with factor 0.9 and patience 2: a flat figure reduces at epochs 4, 7 and 10, 13 times make 2.2877e-03", () => {
    const plateau = reduceLROnPlateau({ lr: 0.009, factor: 0.9, patience: 2 });
    const reduced: number[] = [];
    for (let epoch = 1; epoch <= 40; epoch++) if (plateau.observe(0.5)) reduced.push(epoch);
    expect(reduced.slice(0, 3)).toEqual([4, 7, 10]);
    expect(reduced).toHaveLength(13);
    expect(plateau.at(0).lr.toExponential(4)).toBe("2.2877e-3");
  });

  it("one cycle of 20 epochs of 98 steps: the printed column, digit for digit", () => {
    const options = { pctStart: 5 / 20, divFactor: 100, finalDivFactor: 100, annealStrategy: "linear" } as const;
    const schedule = schedules.oneCycle({ maxLr: 6.280291441834253e-4, totalSteps: 1960, ...options });
    const printed = [
      [0, 6.2802914418342525e-6, 0.95],
      [98, 1.3088435599945374e-4, 0.9299591],
      [196, 2.554884205570732e-4, 0.9099182],
      [490, 6.276019561961675e-4, 0.850068],
      [1862, 4.150003767842763e-5, 0.9434014],
    ];
    for (const [step, lr, beta1] of printed) {
      const rates = schedule(step);
      expect(rates.lr).toBe(lr);
      expect(rates.momentum).toBeCloseTo(beta1, 6);
    }
  });

  it("the triangle of the 26-epoch recipe: numpy.interp of the steps", () => {
    const schedule = schedules.piecewiseLinear({ lr: 0.2, steps: [0, 520, 2600], factors: [0.2, 1, 0] });
    const column = [0, 260, 520, 1560, 2600, 2700].map((step) => schedule(step).lr);
    expectColumn(column, [0.04, 0.12, 0.2, 0.1, 0, 0]);
  });
});

describe("refused", () => {
  it.each<[() => unknown, string]>([
    [() => schedules.linear({ lr: 1, startFactor: 0 }), "linear: startFactor must be above 0 and at most 1, not 0"],
    [() => schedules.polynomial({ lr: 1, power: 0 }), "polynomial: power must be a number > 0, not 0"],
    [() => schedules.cyclic({ baseLr: 0.1, maxLr: 1, mode: "saw" as "triangular" }), "cyclic: mode must be triangular"],
    [() => schedules.cosineAnnealingWarmRestarts({ lr: 1, t0: 0 }), "t0 must be a whole number >= 1, not 0"],
    [() => schedules.cosineAnnealingWarmRestarts({ lr: 1, t0: 1 })(-1), "the step must be a number >= 0, not -1"],
    [() => reduceLROnPlateau({ lr: 1, factor: 1 }), "factor must be at least 0 and below 1, not 1"],
    [
      () => sequential({ schedules: [schedules.constant({ lr: 1 })], milestones: [3] }),
      "1 schedules need 0 milestones",
    ],
    [() => schedules.piecewiseLinear({ lr: 1, steps: [1, 2], factors: [0, 1] }), "steps must rise from 0"],
  ])("%s", (make, message) => {
    expect(make).toThrow(message);
  });
});
