// Curves over epochs and over steps.
import { areaY, axisX, dot, frame, lineY, ruleX, text, type Markish, type ScaleOptions } from "@observablehq/plot";
import type { EpochReport } from "../../events.ts";
import { showRate } from "../../lr-finder/suggest.ts";
import { drawFigure, ink, type Figure } from "../figure.ts";

/** A line of steps.jsonl. */
export interface StepRow {
  readonly step: number;
  readonly lr: number;
  readonly momentum: number;
  readonly loss: number;
}

interface Line {
  readonly label: string;
  readonly color: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** Room of a letter of a legend in one row. */
const LETTER = 8;

/** Of a figure with a legend: its row stands above the chart, where it covers no line. */
export const LEGEND_SIZE = { height: 290, marginTop: 32 } as const;

/** Names in the lines' colours, in a row; to be drawn in a figure of `LEGEND_SIZE`. */
export function legend(lines: readonly Pick<Line, "label" | "color">[]): Markish[] {
  const after = (i: number): number =>
    lines.slice(i + 1).reduce((sum, { label }) => sum + LETTER * (label.length + 4), 0);
  return lines.map(({ label, color }, i) =>
    text([`― ${label}`], {
      frameAnchor: "top-right",
      dx: -after(i),
      dy: -20,
      fill: color,
      stroke: ink.background,
      strokeWidth: 4,
      fontWeight: "bold",
    }),
  );
}

/** The y axis of lines. Where all have one height, as after one epoch, it gets room: Plot would write that number in all its digits. */
export function heightAxis(label: string, lines: readonly Pick<Line, "points">[]): ScaleOptions {
  const heights = new Set(lines.flatMap(({ points }) => points.map(({ y }) => y)));
  const [height] = heights;
  const room = 0.1 * Math.abs(height) || 1;
  return { label, grid: true, nice: true, ...(heights.size === 1 && { domain: [height - room, height + room] }) };
}

function epochLines(
  reports: readonly EpochReport[],
  names: readonly [label: string, color: string, key: keyof EpochReport][],
): Line[] {
  return names
    .map(([label, color, key]) => ({
      label,
      color,
      points: reports.flatMap((report) => {
        const y = report[key];
        return typeof y === "number" && Number.isFinite(y) ? [{ x: report.epoch, y }] : [];
      }),
    }))
    .filter(({ points }) => points.length > 0);
}

const wholeTicks = (reports: readonly EpochReport[]): number[] => {
  const last = reports.at(-1)?.epoch ?? 1;
  const step = Math.max(1, Math.ceil(last / 12));
  return Array.from({ length: Math.floor(last / step) }, (_, i) => (i + 1) * step);
};

/** Training, test and validation loss of each epoch. */
export function lossCurves(reports: readonly EpochReport[]): Figure {
  const lines = epochLines(reports, [
    ["training", ink.train, "trainLoss"],
    ["test", ink.test, "testLoss"],
    ["validation", ink.validation, "validationLoss"],
  ]);
  return epochChart("loss", "Loss of each epoch", "loss", lines, reports, true);
}

/** Training, test and validation accuracy of each epoch, in percent. */
export function accuracyCurves(reports: readonly EpochReport[]): Figure {
  const lines = epochLines(reports, [
    ["training", ink.train, "trainAccuracy"],
    ["test", ink.test, "testAccuracy"],
    ["validation", ink.validation, "validationAccuracy"],
  ]).map((line) => ({ ...line, points: line.points.map(({ x, y }) => ({ x, y: 100 * y })) }));
  return epochChart("accuracy", "Accuracy of each epoch", "accuracy (%)", lines, reports, true);
}

/** One of the four curves by itself; null where no epoch has the figure. */
export function singleCurve(
  reports: readonly EpochReport[],
  key: "trainLoss" | "testLoss" | "trainAccuracy" | "testAccuracy",
): Figure | null {
  const isLoss = key.endsWith("Loss");
  const who = key.startsWith("train") ? "training" : "test";
  const factor = isLoss ? 1 : 100;
  const lines = epochLines(reports, [[who, who === "training" ? ink.train : ink.test, key]]).map((line) => ({
    ...line,
    points: line.points.map(({ x, y }) => ({ x, y: factor * y })),
  }));
  if (lines.length === 0) return null;
  const what = isLoss ? "loss" : "accuracy";
  const title = `${who[0].toUpperCase()}${who.slice(1)} ${what}`;
  return epochChart(`${who}-${what}`, title, isLoss ? "loss" : "accuracy (%)", lines, reports, false);
}

/** @param named a legend names the lines; of a single one the title does */
function epochChart(
  name: string,
  title: string,
  label: string,
  lines: readonly Line[],
  reports: readonly EpochReport[],
  named: boolean,
): Figure {
  const ticks = wholeTicks(reports);
  return drawFigure(name, title, {
    ...(named && LEGEND_SIZE),
    x: { label: "epoch", domain: [Math.min(1, ticks[0]), Math.max(reports.at(-1)?.epoch ?? 1, 2)] },
    y: heightAxis(label, lines),
    marks: [
      frame({ strokeOpacity: 0.25 }),
      axisX({ ticks, tickFormat: String }),
      ...lines.flatMap(({ points, color }) => [
        lineY(points, { x: "x", y: "y", stroke: color, strokeWidth: 2 }),
        ...(points.length <= 60 ? [dot(points, { x: "x", y: "y", fill: color, r: 2.5 })] : []),
      ]),
      ...(named ? legend(lines) : []),
    ],
  });
}

const MOST_POINTS = 600;

/** Means of neighbouring steps with their extremes, where there are more steps than a chart has pixels. */
export function thin(rows: readonly StepRow[]): { x: number; y: number; low: number; high: number }[] {
  const finite = rows.filter(({ loss }) => Number.isFinite(loss));
  const size = Math.max(1, Math.ceil(finite.length / MOST_POINTS));
  return Array.from({ length: Math.ceil(finite.length / size) }, (_, i) => {
    const part = finite.slice(i * size, (i + 1) * size);
    const losses = part.map(({ loss }) => loss);
    return {
      x: part[Math.floor(part.length / 2)].step,
      y: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
      low: losses.reduce((a, b) => Math.min(a, b)),
      high: losses.reduce((a, b) => Math.max(a, b)),
    };
  });
}

const stepAxis = (rows: readonly StepRow[]): ScaleOptions => ({
  label: "step",
  domain: [rows[0]?.step ?? 0, Math.max(1, rows.at(-1)?.step ?? 1)],
  tickFormat: (step: number) => (step % 1 ? "" : step.toLocaleString("en-US")),
});

/** The loss of every step, as trained on. */
export function stepLossCurve(rows: readonly StepRow[]): Figure {
  const points = thin(rows);
  return drawFigure("step-loss", "Training loss of each step", {
    x: stepAxis(rows),
    y: heightAxis("loss", [{ points }]),
    marks: [
      frame({ strokeOpacity: 0.25 }),
      areaY(points, { x: "x", y1: "low", y2: "high", fill: ink.train, fillOpacity: 0.18 }),
      lineY(points, { x: "x", y: "y", stroke: ink.train, strokeWidth: 1.2 }),
    ],
  });
}

/** Learning rate and momentum (beta1) over the steps: two charts. */
export function rateCurves(rows: readonly StepRow[]): Figure[] {
  const size = Math.max(1, Math.ceil(rows.length / MOST_POINTS));
  const shown = rows.filter((_, i) => i % size === 0 || i === rows.length - 1);
  const chart = (name: string, title: string, label: string, key: "lr" | "momentum", color: string): Figure => {
    const points = shown.map((row) => ({ x: row.step, y: row[key] }));
    return drawFigure(name, title, {
      height: 190,
      marginLeft: 64,
      x: stepAxis(rows),
      y: key === "lr" ? { label, grid: true, zero: true } : heightAxis(label, [{ points }]),
      marks: [frame({ strokeOpacity: 0.25 }), lineY(points, { x: "x", y: "y", stroke: color, strokeWidth: 2 })],
    });
  };
  return [
    chart("learning-rate", "Learning rate of each step", "learning rate", "lr", ink.train),
    chart("momentum", "Momentum of each step (beta1 of Adam)", "momentum", "momentum", ink.validation),
  ];
}

/** A range test: what `LrFinderResult` and lr-finder.json hold. */
export interface RangeTest {
  readonly lrs: readonly number[];
  readonly losses: readonly (number | null)[];
  readonly smoothed: readonly (number | null)[];
  readonly suggestions: Readonly<Record<string, number | null>>;
  readonly suggestion: number | null;
  readonly method: string | null;
}

/** Loss against the rate, on a logarithmic axis, with all suggestions. */
export function lrFinderCurve({ lrs, losses, smoothed, suggestions, suggestion, method }: RangeTest): Figure {
  const points = (values: readonly (number | null)[]): { x: number; y: number }[] =>
    lrs.flatMap((x, i) => {
      const y = values[i];
      return typeof y === "number" && Number.isFinite(y) && x > 0 ? [{ x, y }] : [];
    });
  const line = points(smoothed);
  // A loss that explodes at the end would flatten all that matters.
  const lowest = line.reduce((least, { y }) => Math.min(least, y), Infinity);
  const first = line[0]?.y ?? 1;
  const ceiling = Math.max(first, lowest) + 0.6 * Math.max(first - lowest, 0.1 * first);
  const heightAt = (lr: number): number =>
    line.reduce((best, point) => (Math.abs(Math.log(point.x / lr)) < Math.abs(Math.log(best.x / lr)) ? point : best), {
      x: Infinity,
      y: 0,
    }).y;
  const marks = Object.entries(suggestions).flatMap(([name, lr]) => {
    if (lr === null || name === method) return [];
    return [{ x: lr, y: Math.min(heightAt(lr), ceiling), label: name }];
  });
  const chosen =
    suggestion !== null && Number.isFinite(suggestion) && method !== null
      ? [{ x: suggestion, y: Math.min(heightAt(suggestion), ceiling), label: method }]
      : [];
  // Its label stands on the side with more room.
  const onRight = Math.log(lrs[0] * (lrs.at(-1) ?? 1)) / 2 < Math.log(suggestion ?? 0);
  const raw = points(losses).map(({ x, y }) => ({ x, y: Math.min(y, ceiling) }));
  return drawFigure("lr-finder", "Loss against the learning rate", {
    x: { type: "log", label: "learning rate", tickFormat: (lr: number) => lr.toExponential(0), ticks: 8 },
    y: { label: "loss", grid: true },
    marks: [
      frame({ strokeOpacity: 0.25 }),
      lineY(raw, { x: "x", y: "y", stroke: ink.faint, strokeWidth: 1, strokeOpacity: 0.7 }),
      lineY(
        line.map(({ x, y }) => ({ x, y: Math.min(y, ceiling) })),
        { x: "x", y: "y", stroke: ink.train, strokeWidth: 2.2 },
      ),
      ruleX(chosen, { x: "x", stroke: ink.mark, strokeDasharray: "4 3" }),
      dot(marks, { x: "x", y: "y", fill: ink.background, stroke: ink.test, strokeWidth: 2, r: 4 }),
      ruleX(marks, { x: "x", stroke: ink.test, strokeOpacity: 0.6, strokeDasharray: "1 3" }),
      // One above the other: methods often agree.
      ...marks.map(({ x, label }, i) =>
        text([label], {
          x: [x],
          frameAnchor: "bottom",
          dy: -6 - 15 * i,
          fill: ink.test,
          stroke: ink.background,
          strokeWidth: 4,
        }),
      ),
      dot(chosen, { x: "x", y: "y", fill: ink.mark, r: 5 }),
      text(chosen, {
        x: "x",
        frameAnchor: "top",
        text: ({ label, x }: { label: string; x: number }) => `${label} ${showRate(x)}`,
        textAnchor: onRight ? "end" : "start",
        dx: onRight ? -6 : 6,
        dy: 6,
        fill: ink.mark,
        stroke: ink.background,
        strokeWidth: 4,
        fontWeight: "bold",
      }),
    ],
  });
}
