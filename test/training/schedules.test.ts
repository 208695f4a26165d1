import { describe, expect, it } from "vitest";
import {
  constant,
  cosineAnnealing,
  exponential,
  multiStep,
  oneCycle,
  perEpoch,
  reduceLROnPlateau,
  stepDecay,
} from "../../training/schedules/index.ts";
import type { OneCycleOptions, Schedule } from "../../training/schedules/index.ts";
import golden from "./golden-onecycle.json" with { type: "json" };
import reference from "../pytorch/reference.json" with { type: "json" };

/** DESIGN's promise about schedules: PyTorch's numbers to 1e-12, relative to the largest of the column. */
const promised = 1e-12;

function expectColumn(got: readonly (number | undefined)[], want: readonly number[]): void {
  const scale = Math.max(...want.map(Math.abs));
  expect(got.length).toBe(want.length);
  want.forEach((value, row) => {
    const error = Math.abs((got[row] ?? NaN) - value) / scale;
    expect(error, `row ${row}: got ${got[row]}, want ${value}`).toBeLessThanOrEqual(promised);
  });
}

const camelCase = (text: string): string =>
  text.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** A stored PyTorch scheduler as ours, its arguments by their camelCase names. */
function ours(column: { scheduler: string; lr: number; arguments: object }): Schedule {
  const named = Object.fromEntries(
    Object.entries(column.arguments).map(([name, value]) => [camelCase(name), value as unknown]),
  );
  const options: never = { lr: column.lr, ...named } as never;
  switch (column.scheduler) {
    case "StepLR":
      return stepDecay(options);
    case "MultiStepLR":
      return multiStep(options);
    case "ExponentialLR":
      return exponential(options);
    case "CosineAnnealingLR":
      return cosineAnnealing(options);
    case "OneCycleLR": {
      const { epochs, stepsPerEpoch, ...rest } = named as Record<string, number>;
      return oneCycle({ totalSteps: epochs * stepsPerEpoch, ...rest } as OneCycleOptions);
    }
    default:
      throw new Error(`no schedule like ${column.scheduler}`);
  }
}

describe("PyTorch's numbers", () => {
  it.each(reference.schedules.map((column) => [column.scheduler, JSON.stringify(column.arguments), column] as const))(
    "%s %s",
    (scheduler, _, column) => {
      const rates = column.steps.map(ours(column));
      expectColumn(
        rates.map(({ lr }) => lr),
        column.lrs,
      );
      const cycles =
        scheduler === "OneCycleLR" && (column.arguments as { cycle_momentum?: boolean }).cycle_momentum !== false;
      if (cycles) {
        expectColumn(
          rates.map(({ momentum }) => momentum),
          column.momenta,
        );
      } else expect(rates.every((rate) => !("momentum" in rate))).toBe(true);
    },
  );

  it.each(golden.variants)("one cycle, $annealStrategy, three phases: $threePhase", ({ rows, ...variant }) => {
    const schedule = oneCycle({ maxLr: golden.maxLr, totalSteps: golden.totalSteps, ...variant } as OneCycleOptions);
    expectColumn(
      golden.steps.map((step) => schedule(step).lr),
      rows.map(([lr]) => lr),
    );
    expectColumn(
      golden.steps.map((step) => schedule(step).momentum),
      rows.map(([, momentum]) => momentum),
    );
  });

  it("reproduces a published run: 20 epochs of 98 steps", () => {
    const maxLr = 6.280291441834253e-4;
    const options = { pctStart: 0.25, divFactor: 100, finalDivFactor: 100, annealStrategy: "linear" } as const;
    const schedule = oneCycle({ maxLr, totalSteps: 1960, ...options });
    const lrs = [
      6.2802914418342525e-6, 1.3088435599945374e-4, 2.554884205570732e-4, 6.276019561961675e-4, 4.150003767842763e-5,
    ];
    expectColumn(
      [0, 98, 196, 490, 1862].map((step) => schedule(step).lr),
      lrs,
    );
    expect(schedule(1960).lr).toBeCloseTo(-3.64e-7, 9); // PyTorch's extrapolating step after the last update
  });
});

describe("schedules", () => {
  it("stay constant", () => {
    expect([0, 1, 1e6].map(constant({ lr: 0.05 }))).toEqual(Array(3).fill({ lr: 0.05 }));
  });

  it("rise again past tMax, as PyTorch's do", () => {
    const schedule = cosineAnnealing({ lr: 0.1, tMax: 10, etaMin: 0.01 });
    expect(schedule(10).lr).toBeCloseTo(0.01, 15);
    expect(schedule(20).lr).toBeCloseTo(0.1, 15);
  });

  it("reach the peak where a phase has no length and PyTorch divides by zero", () => {
    const schedule = oneCycle({ maxLr: 1, totalSteps: 10, pctStart: 0.1 });
    expect(schedule(0)).toEqual({ lr: 1, momentum: 0.85 });
    expect(oneCycle({ maxLr: 1, totalSteps: 4, pctStart: 1 })(4).lr).toBeCloseTo(1 / 25 / 1e4, 15);
  });

  it("count epochs on request", () => {
    const schedule = perEpoch(stepDecay({ lr: 1, stepSize: 2, gamma: 0.5 }), 3);
    expect([0, 5, 6, 11, 12].map((step) => schedule(step).lr)).toEqual([1, 1, 0.5, 0.5, 0.25]);
  });

  const good: OneCycleOptions = { maxLr: 0.1, totalSteps: 10 };
  it.each<[() => unknown, string]>([
    [() => constant({ lr: -1 }), "constant: lr must be a number >= 0, not -1"],
    [() => constant({ lr: NaN }), "constant: lr must be a number >= 0, not NaN"],
    [() => stepDecay({ lr: 1, stepSize: 0 }), "stepDecay: stepSize must be a whole number >= 1, not 0"],
    [() => stepDecay({ lr: 1, stepSize: 2.5 }), "stepDecay: stepSize must be a whole number >= 1, not 2.5"],
    [() => stepDecay({ lr: 1, stepSize: 2, gamma: 0 }), "stepDecay: gamma must be a number > 0, not 0"],
    [() => multiStep({ lr: 1, milestones: [3, -1] }), "multiStep: milestones must be whole numbers >= 0, not -1"],
    [() => exponential({ lr: 1, gamma: Infinity }), "exponential: gamma must be a number > 0, not Infinity"],
    [() => cosineAnnealing({ lr: 1, tMax: 0 }), "cosineAnnealing: tMax must be a whole number >= 1, not 0"],
    [() => oneCycle({ ...good, totalSteps: 0 }), "oneCycle: totalSteps must be a whole number >= 1, not 0"],
    [() => oneCycle({ ...good, pctStart: 1.5 }), "oneCycle: pctStart must be between 0 and 1, not 1.5"],
    [() => oneCycle({ ...good, maxMomentum: 1 }), "oneCycle: maxMomentum must be at least 0 and below 1, not 1"],
    [() => oneCycle({ ...good, divFactor: 0 }), "oneCycle: divFactor must be a number > 0, not 0"],
    [
      () => oneCycle({ ...good, annealStrategy: "sin" as "cos" }),
      `annealStrategy must be "cos" or "linear", not "sin"`,
    ],
    [() => oneCycle(good)(11), "oneCycle: step 11 lies past totalSteps 10"],
    [() => oneCycle(good)(-1), "oneCycle: the step must be a whole number >= 0, not -1"],
    [() => constant({ lr: 1 })(0.5), "constant: the step must be a whole number >= 0, not 0.5"],
    [
      () => reduceLROnPlateau({ lr: 1, monitor: "loss" as "testLoss" }),
      `reduceLROnPlateau: unknown monitor "loss" (known: testLoss, `,
    ],
    [() => reduceLROnPlateau({ lr: 1, mode: "maximum" as "max" }), `unknown mode "maximum"; did you mean "max"?`],
    [
      () => reduceLROnPlateau({ lr: 1, thresholdMode: "relative" as "rel" }),
      `unknown thresholdMode "relative"; did you mean "rel"? (known: rel, abs)`,
    ],
    [() => perEpoch(constant({ lr: 1 }), 0), "perEpoch: stepsPerEpoch must be a whole number >= 1, not 0"],
  ])("%s is refused", (make, message) => {
    expect(make).toThrow(message);
  });
});
