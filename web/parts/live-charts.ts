// The curves of a run while it goes on: the loss of each step, and the figures of each epoch.
import { dot, frame, lineY, ruleX, type Markish } from "@observablehq/plot";
import { drawFigure, ink } from "../../training/report/figure.ts";
import { LEGEND_SIZE, legend, thin } from "../../training/report/figures/curves.ts";
import type { EpochReport, StepEvent } from "../../training/index.ts";

const LINES = [
  { label: "training", color: ink.train },
  { label: "test", color: ink.test },
];

interface Point {
  readonly epoch: number;
  readonly value: number;
}

/**
 * The loss of each step (faint), their moving mean, and the test loss after each epoch.
 *
 * @param epochs of the whole run: the axis does not move while it goes on
 */
export function liveLoss(
  losses: readonly StepEvent[],
  reports: readonly EpochReport[],
  { epochs, stepsPerEpoch }: { readonly epochs: number; readonly stepsPerEpoch: number },
): string {
  const shown = thin(losses).map(({ x, y }) => ({ epoch: (x + 1) / stepsPerEpoch, value: y }));
  const test = pointsOf(reports, "testLoss");
  // The first losses of an untrained net may be far above all others, once there are others.
  const settled = shown.length > 20 ? shown.slice(3) : shown;
  const top = Math.max(...settled.map(({ value }) => value), ...test.map(({ value }) => value), 0.1);
  return chart(
    "loss",
    "Loss of each step and test loss of each epoch",
    epochs,
    [0, Math.min(top * 1.05, 20)],
    [
      lineY(shown, { x: "epoch", y: "value", stroke: ink.train, strokeOpacity: 0.35, clip: true }),
      lineY(smoothed(shown), { x: "epoch", y: "value", stroke: ink.train, strokeWidth: 2, clip: true }),
      ...epochMarks(test, ink.test),
      ...legend(LINES),
    ],
  );
}

/** Training and test accuracy after each epoch. */
export function liveAccuracy(reports: readonly EpochReport[], { epochs }: { readonly epochs: number }): string {
  const inPercent = (points: Point[]): Point[] => points.map(({ epoch, value }) => ({ epoch, value: 100 * value }));
  return chart(
    "accuracy (%)",
    "Accuracy of each epoch",
    epochs,
    [0, 100],
    [
      ...epochMarks(inPercent(pointsOf(reports, "trainAccuracy")), ink.train),
      ...epochMarks(inPercent(pointsOf(reports, "testAccuracy")), ink.test),
      ...legend(LINES),
    ],
  );
}

function chart(label: string, title: string, epochs: number, domain: [number, number], marks: Markish[]): string {
  return drawFigure(label, title, {
    ...LEGEND_SIZE,
    x: { label: "epoch", domain: [0, epochs] },
    y: { label, domain, grid: true },
    marks: [frame({ stroke: ink.faint, strokeOpacity: 0.5 }), ruleX([0], { strokeOpacity: 0 }), ...marks],
  }).svg;
}

const epochMarks = (points: readonly Point[], color: string): Markish[] => [
  lineY(points, { x: "epoch", y: "value", stroke: color, strokeWidth: 2 }),
  dot(points, { x: "epoch", y: "value", fill: color, r: 3.5 }),
];

function pointsOf(reports: readonly EpochReport[], key: "testLoss" | "trainAccuracy" | "testAccuracy"): Point[] {
  return reports.flatMap((report) => {
    const value = report[key];
    return value === null ? [] : [{ epoch: report.epoch, value }];
  });
}

/** An exponential mean without the lag of its beginning, over about a thirtieth of what is there. */
function smoothed(points: readonly Point[]): Point[] {
  const weight = 1 / Math.max(4, points.length / 30);
  let [mean, sum] = [0, 0];
  return points.map(({ epoch, value }) => {
    mean = (1 - weight) * mean + weight * value;
    sum = (1 - weight) * sum + weight;
    return { epoch, value: mean / sum };
  });
}
