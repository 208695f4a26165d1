import { describe, expect, it } from "vitest";
import { classificationReport } from "../../training/classification-report.ts";
import { Random, Purpose } from "../../engine/random.ts";

/** Logits whose softmax is `shares`, moved by a constant that must not matter. */
const logits = (...rows: number[][]): number[] => rows.flatMap((shares) => shares.map((share) => Math.log(share) + 7));

describe("a case worked by hand", () => {
  // truth a: a, a, b; truth b: b, c; truth c: none
  const report = classificationReport({
    classes: ["a", "b", "c"],
    labels: [0, 0, 0, 1, 1],
    logits: logits([0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.85, 0.05], [0.25, 0.62, 0.13], [0.1, 0.28, 0.62]),
  });

  it("counts the confusion, and its shares of each row", () => {
    expect(report.confusion).toEqual([
      [2, 1, 0],
      [0, 1, 1],
      [0, 0, 0],
    ]);
    expect(report.confusionNormalised).toEqual([
      [2 / 3, 1 / 3, 0],
      [0, 0.5, 0.5],
      [0, 0, 0],
    ]);
    expect(report).toMatchObject({ count: 5, accuracy: 0.6, misclassified: 2, top5Accuracy: null });
  });

  it("gives precision, recall and F1, with 0 for 0 / 0", () => {
    const [a, b, c] = report.perClass;
    expect(a).toMatchObject({ class: "a", count: 3, correct: 2, precision: 1, recall: 2 / 3, accuracy: 2 / 3 });
    expect(a.f1).toBeCloseTo(0.8, 12);
    expect(b).toMatchObject({ count: 2, correct: 1, precision: 0.5, recall: 0.5, f1: 0.5 });
    expect(c).toEqual({ class: "c", count: 0, correct: 0, accuracy: 0, precision: 0, recall: 0, f1: 0 });
    expect(report.macro.precision).toBeCloseTo(0.75, 12);
    expect(report.macro.recall).toBeCloseTo((2 / 3 + 0.5) / 2, 12);
    expect(report.macro.f1).toBeCloseTo(0.65, 12);
  });

  it("gives the loss: the mean of -log of the true class's share", () => {
    const wanted = -[0.7, 0.5, 0.1, 0.62, 0.28].reduce((sum, share) => sum + Math.log(share), 0) / 5;
    expect(report.loss).toBeCloseTo(wanted, 12);
  });

  it("lists mistakes by confidence, and pairs by number", () => {
    expect(report.mistakes.map(({ index, label, prediction }) => [index, label, prediction])).toEqual([
      [2, 0, 1],
      [4, 1, 2],
    ]);
    expect(report.mistakes[0].confidence).toBeCloseTo(0.85, 12);
    expect(report.mistakes[0].labelConfidence).toBeCloseTo(0.1, 12);
    expect(report.confusedPairs).toEqual([
      { truth: 0, prediction: 1, count: 1, share: 1 / 3 },
      { truth: 1, prediction: 2, count: 1, share: 0.5 },
    ]);
  });

  it("gives the calibration error: bins of a fifteenth, gaps weighted by their counts", () => {
    // 0.5 lies in bin 8 (7/15, 8/15], 0.62 twice in (9/15, 10/15], 0.7 in (10/15, 11/15], 0.85 in (12/15, 13/15].
    const gaps = [1 * (1 - 0.5), 2 * Math.abs(0.5 - 0.62), 1 * (1 - 0.7), 1 * 0.85];
    expect(report.calibration.ece).toBeCloseTo(gaps.reduce((a, b) => a + b, 0) / 5, 9);
    expect(report.calibration.bins).toHaveLength(15);
    expect(report.calibration.bins.reduce((sum, { count }) => sum + count, 0)).toBe(5);
  });
});

describe("classificationReport", () => {
  it("breaks ties by the lowest class, also for the top five", () => {
    const classes = [..."abcdefg"];
    const report = classificationReport({ classes, labels: [0, 4, 5], logits: new Array<number>(21).fill(1) });
    expect(report.accuracy).toBe(1 / 3);
    expect(report.top5Accuracy).toBe(2 / 3);
  });

  it("takes models with more outputs than the data has classes", () => {
    const report = classificationReport({ classes: ["a", "b"], labels: [0, 1], logits: [1, 2, 9, 1, 5, 2] });
    expect(report.confusion).toEqual([
      [0, 0, 1],
      [0, 1, 0],
    ]);
    expect(report.perClass.map(({ recall }) => recall)).toEqual([0, 1]);
  });

  it("is well calibrated where answers are right as often as they are confident", () => {
    const random = new Random(1, 2, 3, Purpose.shapes);
    const n = 20_000;
    const shares = Array.from({ length: n }, () => random.uniform(0.5, 1));
    const labels = shares.map((share) => (random.uniform() < share ? 0 : 1));
    const report = classificationReport({
      classes: ["a", "b"],
      labels,
      logits: logits(...shares.map((s) => [s, 1 - s])),
    });
    expect(report.calibration.ece).toBeLessThan(0.02);
    const sure = classificationReport({ classes: ["a", "b"], labels, logits: shares.flatMap(() => [9, 0]) });
    expect(sure.calibration.ece).toBeGreaterThan(0.2);
  });

  it("survives logits that are far apart", () => {
    const report = classificationReport({ classes: ["a", "b"], labels: [1, 1], logits: [1e4, -1e4, -3e38, 3e38] });
    expect(report.mistakes[0]).toMatchObject({ confidence: 1, labelConfidence: 0 });
    expect(report.loss).toBe(1e4);
  });

  it("finds nothing good in a model whose answers are no numbers", () => {
    const classes = ["a", "b", "c", "d", "e", "f"];
    const report = classificationReport({ classes, labels: [1, 2], logits: new Array<number>(12).fill(NaN) });
    expect(report).toMatchObject({ accuracy: 0, top5Accuracy: 0, loss: NaN, calibration: { ece: NaN } });
  });

  it("refuses labels that are no class, also where the model has an output for them", () => {
    const classes = ["a", "b", "c"];
    const random = new Random(4, 2, 3, Purpose.shapes);
    const labels = Array.from({ length: 20 }, () => random.below(3));
    const given = { classes, labels, logits: Array.from({ length: 100 }, () => random.normal()) };
    expect(() => classificationReport(given)).not.toThrow();
    for (const label of [3, 7, -1, 1.5, NaN]) {
      const image = random.below(20);
      expect(() => classificationReport({ ...given, labels: labels.with(image, label) })).toThrow(
        new Error(`classificationReport: image ${image} has label ${label}, the 3 classes are 0 to 2`),
      );
    }
  });

  it("refuses sizes that do not fit", () => {
    expect(() => classificationReport({ classes: ["a", "b"], labels: [0], logits: [1] })).toThrow(
      "classificationReport: 1 logits do not fit 1 labels of 2 classes",
    );
  });
});
