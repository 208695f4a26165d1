// Curves as they come out of real runs, and what is to be said of them.
import { describe, expect, it } from "vitest";
import type { EpochReport } from "../../../training/index.ts";
import { verdict, type Verdict } from "../../../training/report/verdict.ts";

type Row = readonly [trainLoss: number, trainAccuracy: number, testLoss: number | null, testAccuracy: number | null];

const run = (rows: readonly Row[], validation = false): EpochReport[] =>
  rows.map(([trainLoss, trainAccuracy, loss, accuracy], i) => ({
    epoch: i + 1,
    lr: 0.1,
    trainLoss,
    trainAccuracy,
    testLoss: validation ? 9 : loss,
    testAccuracy: validation ? 0 : accuracy,
    ...(validation && { validationLoss: loss!, validationAccuracy: accuracy! }),
    seconds: 1,
    imagesPerSecond: 1,
  }));
const kinds = ({ findings }: Verdict): string[] => findings.map(({ kind }) => kind);

const smooth: Row[] = [
  [1.8, 0.4, 1.5, 0.5],
  [1.0, 0.65, 0.9, 0.7],
  [0.6, 0.8, 0.6, 0.8],
  [0.4, 0.87, 0.5, 0.84],
  [0.33, 0.89, 0.45, 0.86],
  [0.3, 0.9, 0.43, 0.867],
  [0.29, 0.905, 0.43, 0.869],
  [0.28, 0.91, 0.43, 0.87],
];

describe("verdict", () => {
  it("praises smooth curves that meet", () => {
    const good = verdict({ epochs: run(smooth) });
    expect(kinds(good)).toEqual(["fit"]);
    expect(good.findings[0]).toMatchObject({ severity: "good", evidence: "training accuracy 91.0 %, test 87.0 %" });
    expect(good.summary).toBe("87.0 % test accuracy after 8 epochs: the fit is good.");
  });
  it("sees overfitting by gap and rising loss, and by a wide gap alone", () => {
    const rising = smooth.map(([a, , c, d], i): Row => [a, 0.4 + 0.08 * i, c! + (i > 4 ? 0.1 * (i - 4) : 0), d]);
    const found = verdict({ epochs: run(rising) });
    expect(kinds(found)).toEqual(["overfitting"]);
    expect(found.findings[0].evidence).toContain("test loss 0.730, its lowest 0.450 in epoch 5");
    const wide = smooth.map(([a, , c, d], i): Row => [a, i < 7 ? 0.9 : 1, c, d! - 0.2]);
    expect(kinds(verdict({ epochs: run(wide) }))).toContain("overfitting");
    const narrow = smooth.map(([a, b, c, d]): Row => [a, b + 0.05, c, d]);
    expect(kinds(verdict({ epochs: run(narrow) }))).not.toContain("overfitting");
  });
  it("sees underfitting, and that it was still getting better", () => {
    const weak = smooth.map(([a, , c], i): Row => [a, 0.3 + 0.03 * i, c, 0.3 + 0.03 * i]);
    expect(kinds(verdict({ epochs: run(weak) }))).toEqual(["underfitting", "still-improving"]);
  });
  it("sees an unstable second half, and the best epoch behind it", () => {
    const wild = smooth.map(([a, b, c, d], i): Row => [a, b, c, d! - (i >= 4 && i % 2 === 1 ? 0.09 : 0)]);
    const found = verdict({ epochs: run(wild) });
    expect(kinds(found)).toContain("unstable");
    expect(found.findings.find(({ kind }) => kind === "past-best")?.text).toContain("holds epoch 7");
    expect(found.findings[0].severity).toBe("warning");
    const once = smooth.map(([a, b, c, d], i): Row => [a, b, c, d! - (i === 5 ? 0.09 : 0)]);
    expect(kinds(verdict({ epochs: run(once) }))).not.toContain("unstable");
  });
  it("sees that nothing was learned, and that it diverged", () => {
    const flat = smooth.map((): Row => [2.31, 0.1, 2.31, 0.1]);
    expect(kinds(verdict({ epochs: run(flat) }))).toContain("not-learning");
    expect(kinds(verdict({ epochs: run([[NaN, 0.1, 2.3, 0.1]]) }))).toEqual(["diverged"]);
  });
  it("sees a jump of the training loss, with its step and rate, but not one bad batch", () => {
    const steps = Array.from({ length: 400 }, (_, step) => ({ step, lr: step / 100, loss: 2 - step / 400 }));
    expect(kinds(verdict({ epochs: run(smooth), steps }))).toEqual(["fit"]);
    const jump = steps.map((row) => (row.step >= 200 && row.step < 240 ? { ...row, loss: 4 } : row));
    const [found] = verdict({ epochs: run(smooth), steps: jump }).findings;
    expect(found).toMatchObject({ kind: "loss-jump", severity: "warning" });
    expect(found.evidence).toContain("step 200, at a rate of 2.00e+0");
    const spike = steps.map((row) => (row.step === 205 ? { ...row, loss: 9 } : row));
    expect(kinds(verdict({ epochs: run(smooth), steps: spike }))).toEqual(["fit"]);
  });
  it("never praises a model at chance, whatever it learned by heart", () => {
    const rows = Array.from({ length: 8 }, (_, i): Row => [1.1 - 0.02 * i, 0.35 + 0.018 * i, 1.1, 1 / 3]);
    const images = { images: 60, chance: 1 / 3 };
    const found = verdict({ epochs: run(rows), ...images });
    expect(kinds(found)).toEqual(["chance"]);
    expect(found.summary).toBe("33.3 % test accuracy after 8 epochs: not surely better than guessing.");
    expect(found.findings[0].evidence).toContain("always naming the commonest class gives 33.3 %");
    // Two points better, on so few images, is no evidence; on many it is.
    const slightly = run(rows.map(([a, b, c]): Row => [a, b, c, 0.354]));
    expect(kinds(verdict({ epochs: slightly, ...images }))).toEqual(["chance"]);
    expect(kinds(verdict({ epochs: slightly, ...images, images: 10_000 }))).not.toContain("chance");
  });
  it("does not praise a gap above 8 points, nor a held-out loss that never fell", () => {
    const gap = run(smooth.map(([a, b, c, d]): Row => [a, b + 0.06, c, d]));
    expect(kinds(verdict({ epochs: gap, images: 10_000 }))).toEqual(["gap"]);
    const few = verdict({ epochs: gap, images: 20 });
    expect(kinds(few)).toEqual(["gap"]);
    expect(few.findings[0].text).toContain("by chance: test on more");
    const flat = run(smooth.map(([a, b]): Row => [a, b, 0.5, 0.87]));
    expect(kinds(verdict({ epochs: flat }))).toEqual(["no-gain"]);
  });
  it("takes no drop or gain for real that a single image of a small test set makes", () => {
    const one = smooth.map(([a, b, c], i): Row => [a, b, c, i % 2 === 0 ? 5 / 6 : 4 / 6]);
    expect(kinds(verdict({ epochs: run(one) }))).toContain("unstable");
    expect(kinds(verdict({ epochs: run(one), images: 6 }))).toEqual(["gap"]);
  });
  it("advises neither what the run did already nor fewer and more epochs at once", () => {
    const wild = smooth.map(([a, b, c, d], i): Row => [a, b, c, d! - (i >= 4 && i % 2 === 1 ? 0.09 : 0)]);
    const advice = (settings: object): string =>
      verdict({ epochs: run(wild), settings: { ...settings } }).findings.find(({ kind }) => kind === "unstable")!.text;
    expect(advice({ schedule: "cosine", ema: 0.99 })).toMatch(/too high\. Lower its peak \(--lr\)\.$/);
    expect(advice({ schedule: "linear:total_iters=5+constant" })).toContain("--schedule onecycle");
    const over = smooth.map(([a, , c], i): Row => [
      a,
      0.5 + 0.07 * i,
      c! + (i > 4 ? 0.2 * (i - 4) : 0),
      0.4 + 0.02 * i,
    ]);
    const found = verdict({ epochs: run(over) });
    expect(kinds(found)).toEqual(["overfitting"]);
    expect(found.findings[0].text).toContain("or fewer epochs");
  });
  it("does not call a model underfitted that does well on images that are not mixed", () => {
    const mixed = run(smooth.map(([a, , c, d]): Row => [a, 0.5, c, d]));
    expect(kinds(verdict({ epochs: mixed }))).toEqual(["fit"]);
  });
  it("prefers validation figures, and says little about few epochs or none held out", () => {
    expect(verdict({ epochs: run(smooth, true) }).summary).toContain("87.0 % validation accuracy");
    const one = verdict({ epochs: run(smooth.slice(0, 1)) });
    expect(one.findings).toEqual([]);
    expect(one.summary).toBe("50.0 % test accuracy after 1 epoch; too few epochs to say more about the curves.");
    const alone = verdict({ epochs: run(smooth.map(([a, b]): Row => [a, b, null, null])) });
    expect(alone.summary).toContain("no images were held out or tested");
  });
});
