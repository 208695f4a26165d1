// The pure half of the LR finder: rates, smoothing, the rules, and what is said about a curve.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { minimum, slide, steepest, valley, type Rule } from "../../training/lr-finder/methods.ts";
import { LR_FINDER_DEFAULTS } from "../../training/lr-finder/options.ts";
import { RangeCurve, type CurveOptions } from "../../training/lr-finder/range-curve.ts";
import { rangeRates, smoothLosses, withoutSpikes } from "../../training/lr-finder/series.ts";
import {
  showRate,
  suggestRates,
  type LrMethod,
  type LrSuggestion,
  type RangeStop,
} from "../../training/lr-finder/suggest.ts";

type Answers = Record<"valley" | "slide" | "minimum" | "steepest" | "everywhere", number>;
type Smoothed = Answers & { smoothed: number[] };
interface Case {
  losses: number[];
  fastai: Smoothed;
  torch: Smoothed;
  raw: Answers;
  stops: { fastai: number | null; torch: number | null };
}
const path = join(import.meta.dirname, "../pytorch/lr-finder.json");
const cases = Object.entries(JSON.parse(readFileSync(path, "utf8")) as Record<string, Case>);
const caseOf = (name: string): Case => cases.find(([key]) => key === name)![1];

const N = 100;
const rates = rangeRates(1e-7, 10, N, "exp");
const FASTAI: CurveOptions = { smooth: 0.02, debias: true, diverge: 4 };
const TORCH: CurveOptions = { smooth: 0.05, debias: false, diverge: 5 };
const OFF: CurveOptions = { smooth: 0, debias: true, diverge: 4 };

/** As a range test feeds it, to its own stop. */
function run(losses: readonly number[], options = FASTAI, wanted?: LrMethod): LrSuggestion & { stopped: RangeStop } {
  const curve = new RangeCurve(rangeRates(1e-7, 10, losses.length, "exp"), options);
  for (const loss of losses) curve.add(loss);
  const stopped = curve.stopped ?? curve.interrupt();
  return { ...suggestRates(curve.series, stopped, losses.length, wanted), stopped };
}

const near = (got: number, want: number, what = ""): void => {
  expect(Math.abs(got - want), `${what}: ${got} for ${want}`).toBeLessThanOrEqual(1e-12 * Math.abs(want));
};

describe("rangeRates", () => {
  it("goes from one end to the other, by factors or by differences", () => {
    expect([rates[0], rates[99]]).toEqual([1e-7, 10]);
    for (let k = 1; k < N; k++) near(rates[k] / rates[k - 1], 1e8 ** (1 / 99));
    const linear = rangeRates(0, 0.9, 10, "linear");
    linear.forEach((lr, k) => expect(lr).toBeCloseTo(k / 10, 14));
  });
});

describe("smoothLosses", () => {
  it.each(cases)("is fastai's and torch-lr-finder's: %s", (name, { losses, fastai, torch }) => {
    smoothLosses(losses, TORCH).forEach((value, k) => k % 9 === 0 && near(value, torch.smoothed[k / 9], name));
    // Ours leaves the spike out before it averages.
    if (name === "spiked") return;
    smoothLosses(losses, FASTAI).forEach((value, k) => k % 9 === 0 && near(value, fastai.smoothed[k / 9], name));
  });

  it("leaves the losses alone with 0 and 1, and is NaN from a loss on that is not finite", () => {
    for (const smooth of [0, 1]) expect(smoothLosses([3, 1, 2], { smooth, debias: true })).toEqual([3, 1, 2]);
    for (const smooth of [0.02, 0.05]) {
      for (const debias of [true, false]) {
        const smoothed = smoothLosses([3, 2, Infinity], { smooth, debias });
        expect(smoothed.map(Number.isFinite)).toEqual([true, true, false]);
      }
    }
    expect(smoothLosses([2, Infinity], OFF)).toEqual([2, NaN]);
    expect(smoothLosses([NaN], FASTAI)).toEqual([NaN]);
  });

  it("takes a lone spike for the mean of its neighbours, and a step or noise as they are", () => {
    expect(withoutSpikes([2, 2.1, 9, 1.9, 2])).toEqual([2, 2.1, 2, 1.9, 2]);
    expect(withoutSpikes([2, 2.1, 0.1, 1.9, 2])).toEqual([2, 2.1, 2, 1.9, 2]);
    const step = [2, 2.1, 9, 9.1, 9];
    expect(withoutSpikes(step)).toEqual(step);
    const { losses } = caseOf("noisy");
    expect(withoutSpikes(losses)).toEqual(losses);
    const [clean, spiked] = ["noisy", "spiked"].map((name) => smoothLosses(caseOf(name).losses, FASTAI));
    clean.forEach((value, k) => expect(Math.abs(value - spiked[k])).toBeLessThan(0.02));
  });
});

describe("the rules", () => {
  const rules: [keyof Answers, Rule][] = [
    ["valley", valley],
    ["slide", slide],
    ["minimum", minimum],
    ["steepest", steepest],
  ];
  it.each(cases)("pick what fastai and torch-lr-finder pick: %s", (_, one) => {
    const lrs = rates.slice(10, -5);
    const series: [number[], Answers][] = [[one.losses, one.raw]];
    series.push([smoothLosses(one.losses, TORCH), one.torch]);
    if (caseOf("spiked") !== one) series.push([smoothLosses(one.losses, FASTAI), one.fastai]);
    for (const [losses, want] of series) {
      for (const [name, rule] of rules) near(rule(lrs, losses.slice(10, -5))!, want[name], name);
    }
  });

  it("work on hand-made curves", () => {
    const lrs = Array.from({ length: 40 }, (_, i) => i + 1);
    // Falls from index 6 to 18 by one a step: 13 points, so the valley begins at 18 - 13 = 5; 5 + 4 + 2.
    const falling = lrs.map((_, i) => 20 - Math.min(Math.max(i - 6, 0), 12));
    expect(valley(lrs, falling)).toBe(lrs[11]);
    expect(minimum(lrs, falling)).toBe(lrs[18] / 10);
    expect(steepest(lrs, falling)).toBe(lrs[7]);
    // All slopes are 0 or -1, and from the right the first two that agree are 15 apart: 39 with 24.
    expect(slide(lrs, falling)).toBe(lrs[24]);
    // A parabola's slopes never agree: the interval slides to the left end.
    expect(
      slide(
        lrs,
        lrs.map((lr) => (lr - 10) ** 2),
      ),
    ).toBe(lrs[0]);
    const two = [2, 1, 3, 4];
    expect([valley(lrs, two), steepest(lrs, two), minimum(lrs, two), slide(lrs, two)]).toEqual([1, 1, 0.2, null]);
  });

  it("have no answer for a curve that only rises, or none", () => {
    for (const losses of [[], [1], [1, 2, 3, 4, 5, 6], [2, 2, 2, 2]]) {
      const lrs = losses.map((_, i) => 10 ** i);
      for (const [name, rule] of rules) expect(rule(lrs, losses), `${name} of [${losses.join()}]`).toBeNull();
    }
  });
});

describe("suggestRates", () => {
  it.each(cases)("stops where the libraries stop: %s", (name, { losses, stops }) => {
    const at = (options: CurveOptions): number | null => {
      const { reason, iteration } = run(losses, options).stopped;
      return reason === "diverged" ? iteration : null;
    };
    expect(at(TORCH)).toBe(stops.torch);
    if (name !== "spiked") expect(at(FASTAI)).toBe(stops.fastai);
  });

  it("takes fastai's window of the curve, and valley", () => {
    const { losses } = caseOf("noisy");
    const { window, suggestions, suggestion, method, stopped, warnings } = run(losses, { ...FASTAI, diverge: 0 });
    expect(window).toEqual({ from: 10, to: 95 });
    const { fastai } = caseOf("noisy");
    for (const name of ["valley", "slide", "minimum", "steepest"] as const) near(suggestions[name]!, fastai[name]);
    expect([method, suggestion]).toEqual(["valley", suggestions.valley]);
    expect(stopped).toMatchObject({ reason: "done", iteration: 99 });
    expect(warnings[0]).toMatch(/^the loss never diverged: at the end it was \d+\.\d times its lowest/);
  });

  it.each(["latePlunge", "deepPlunge"])("is not fooled by a collapse at absurd rates: %s", (name) => {
    const { losses, fastai, torch, raw } = caseOf(name);
    // What these curves hold: argmin of the gradient over all of it is beyond 1.
    for (const { everywhere } of [fastai, torch, raw]) expect(everywhere).toBeGreaterThan(1);
    for (const options of [FASTAI, TORCH, OFF]) {
      const { suggestions, suggestion, warnings } = run(losses, options);
      for (const lr of Object.values(suggestions)) if (lr !== null) expect(lr).toBeLessThan(0.2);
      expect(suggestion).toBeGreaterThan(1e-4);
      expect(suggestion).toBeLessThan(0.05);
      expect(warnings.join()).toContain("rose and fell again: that is a collapse, not learning");
    }
  });

  it("finds the rates at which recorded runs learned", () => {
    const smoothing = { ...FASTAI, smooth: LR_FINDER_DEFAULTS.smooth };
    const adam = run(caseOf("recordedAdam").losses, smoothing);
    expect(adam.suggestion).toBeGreaterThan(5e-4);
    expect(adam.suggestion).toBeLessThan(5e-3);
    const sgd = run(caseOf("recordedSgd").losses, smoothing);
    expect(sgd.suggestion).toBeGreaterThan(1e-3);
    for (const lr of [sgd.suggestion, sgd.suggestions.steepest!, sgd.suggestions.minimum!])
      expect(lr).toBeLessThan(0.1);
  });

  it("is not fooled by a spike", () => {
    const [clean, spiked] = ["noisy", "spiked"].map((name) => run(caseOf(name).losses));
    for (const name of ["valley", "steepest", "minimum"] as const) {
      const factor = spiked.suggestions[name]! / clean.suggestions[name]!;
      expect(Math.abs(Math.log2(factor)), name).toBeLessThan(1);
    }
  });

  it("survives NaN and infinity, and keeps what was before", () => {
    const { losses } = caseOf("quiet");
    for (const bad of [NaN, Infinity, -Infinity]) {
      const { stopped, window, suggestions, suggestion } = run([...losses.slice(0, 90), bad, ...losses.slice(91)]);
      expect(stopped).toMatchObject({ reason: "not-finite", iteration: 90 });
      expect(stopped.message).toMatch(/^stopped at 1\.\d+E\+00: the loss is (NaN|infinite)$/);
      // As fastai, which runs on: only the NaN is cut off.
      expect(window).toEqual({ from: 10, to: 90 });
      expect(suggestion).toBe(suggestions.valley);
      expect(suggestion).toBeGreaterThan(1e-4);
    }
  });

  it("says in words why it stopped", () => {
    const { stopped } = run(caseOf("quiet").losses);
    expect(stopped.message).toMatch(
      /^stopped at 4\.\d+E\+00: the loss has diverged \(\d.*, over 4 times its lowest, 1\.\d+\)$/,
    );
    const curve = new RangeCurve(rates, FASTAI);
    curve.add(2.3);
    expect(curve.interrupt()).toEqual({
      reason: "interrupted",
      iteration: 0,
      message: "interrupted after 1 of 100 iterations",
    });
    curve.add(2);
    expect(curve.length).toBe(1);
  });

  it("warns of rules that disagree by more than ten times", () => {
    const { warnings, suggestions } = run(caseOf("quiet").losses);
    const values = Object.values(suggestions).filter((lr) => lr !== null);
    expect(Math.max(...values) / Math.min(...values)).toBeGreaterThan(10);
    expect(warnings.join()).toMatch(/the suggestions disagree by \d+ times \(valley 5\.21E-04, minimum 7\.\d\dE-02\)/);
    expect(run(caseOf("noisy").losses, OFF).warnings.join()).not.toContain("disagree");
  });

  it("warns of few points, a loss that is still falling, and one that never fell", () => {
    const falling = Array.from({ length: 12 }, (_, k) => 3 - k / 10);
    expect(run(falling).warnings).toEqual([
      expect.stringContaining("only 11 points of the curve can be used: raise --iterations"),
      expect.stringContaining("was still falling at the end: raise --end-lr"),
      expect.stringContaining("the suggestions disagree"),
    ]);
    const flat = Array.from({ length: 40 }, (_, k) => 2.3 + 0.001 * Math.sin(k));
    expect(run(flat).warnings.join()).toContain("the loss hardly fell");
    const cut = { reason: "interrupted", iteration: 6, message: "" } as const;
    const series = {
      lrs: rangeRates(1e-7, 1, 7, "exp"),
      losses: Array<number>(7).fill(2),
      smoothed: Array<number>(7).fill(2),
    };
    expect(suggestRates(series, cut, 10).warnings.join()).not.toMatch(/--iterations/);
    const short = run([2, 1]);
    expect([short.suggestion, short.method]).toEqual([NaN, null]);
  });

  it("takes the rule that is asked for, and says so where another has to stand in", () => {
    const { losses, fastai } = caseOf("noisy");
    for (const method of ["slide", "minimum", "steepest"] as const) {
      const result = run(losses, { ...FASTAI, diverge: 0 }, method);
      expect(result.method).toBe(method);
      near(result.suggestion, fastai[method]);
    }
    const falling = Array.from({ length: 15 }, (_, k) => 3 - k / 10);
    const { suggestion, suggestions, method, warnings } = run(falling, FASTAI, "slide");
    expect([method, suggestion, suggestions.slide]).toEqual(["valley", suggestions.valley, null]);
    expect(warnings).toContain("slide finds no answer in this curve: taken from valley instead");
    const rising = Array.from({ length: 15 }, (_, k) => 1 + k);
    expect(run(rising, OFF)).toMatchObject({ suggestion: NaN, method: null });
  });
});

describe("showRate", () => {
  it("prints as torch-lr-finder does", () => {
    expect([1.9123e-3, 10, 1e-7, 0.5, 1.2e-12].map(showRate)).toEqual([
      "1.91E-03",
      "1.00E+01",
      "1.00E-07",
      "5.00E-01",
      "1.20E-12",
    ]);
  });
});
