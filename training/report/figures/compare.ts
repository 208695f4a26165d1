// The curves of several runs in one chart.
import { dot, frame, lineY, text } from "@observablehq/plot";
import type { EpochReport } from "../../events.ts";
import { drawFigure, ink, series, type Figure } from "../figure.ts";
import { heightAxis } from "./curves.ts";

export interface NamedRun {
  readonly name: string;
  readonly epochs: readonly EpochReport[];
}

type Key = "trainLoss" | "testLoss" | "trainAccuracy" | "testAccuracy";

const TITLES: Readonly<Record<Key, readonly [name: string, title: string, label: string]>> = {
  trainLoss: ["compare-training-loss", "Training loss", "loss"],
  testLoss: ["compare-test-loss", "Test loss", "loss"],
  trainAccuracy: ["compare-training-accuracy", "Training accuracy", "accuracy (%)"],
  testAccuracy: ["compare-test-accuracy", "Test accuracy", "accuracy (%)"],
};

/** The colours come round again with dashes, then with dots. */
const DASHES = [undefined, "7 4", "2 3"] as const;

/** The four curves, each with a line for every run that has the figure; those without any are left out. */
export function compareCurves(runs: readonly NamedRun[]): Figure[] {
  return (Object.keys(TITLES) as Key[]).flatMap((key) => {
    const lines = runs
      .map(({ name, epochs }, i) => ({
        name,
        color: series[i % series.length],
        dash: DASHES[Math.floor(i / series.length) % DASHES.length],
        points: epochs.flatMap((report) => {
          const y = report[key];
          return y === null ? [] : [{ x: report.epoch, y: key.endsWith("Accuracy") ? 100 * y : y }];
        }),
      }))
      .filter(({ points }) => points.length > 0);
    return lines.length === 0 ? [] : [chart(key, lines)];
  });
}

interface Line {
  readonly name: string;
  readonly color: string;
  readonly dash: string | undefined;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const LINE_HEIGHT = 16;
/** Letters of a run's name that have room. Of a longer one the middle is left out: names differ at their ends. */
const MOST_LETTERS = 56;

const shortened = (name: string): string =>
  name.length <= MOST_LETTERS ? name : `${name.slice(0, MOST_LETTERS / 2)}…${name.slice(1 - MOST_LETTERS / 2)}`;

function chart(key: Key, lines: readonly Line[]): Figure {
  const [name, title, label] = TITLES[key];
  const last = lines.reduce((most, { points }) => Math.max(most, points[points.length - 1].x), 2);
  return drawFigure(name, title, {
    // Names stand below one another above the chart: inside they would cover some run's curve.
    height: 290 + LINE_HEIGHT * lines.length,
    marginTop: 30 + LINE_HEIGHT * lines.length,
    x: {
      label: "epoch",
      domain: [1, last],
      ticks: Math.min(last, 12),
      tickFormat: (x: number) => (x % 1 ? "" : `${x}`),
    },
    y: heightAxis(label, lines),
    marks: [
      frame({ strokeOpacity: 0.25 }),
      ...lines.flatMap(({ points, color, dash }) => [
        lineY(points, { x: "x", y: "y", stroke: color, strokeWidth: 2, ...(dash && { strokeDasharray: dash }) }),
        ...(points.length <= 60 ? [dot(points, { x: "x", y: "y", fill: color, r: 2.5 })] : []),
      ]),
      ...lines.map((line, i) =>
        text([`${line.dash ? (line.dash === DASHES[1] ? "- -" : "···") : "―"} ${shortened(line.name)}`], {
          frameAnchor: "top-right",
          dy: -8 - LINE_HEIGHT * (lines.length - i),
          fill: line.color,
          fontWeight: "bold",
          stroke: ink.background,
          strokeWidth: 3,
        }),
      ),
    ],
  });
}
