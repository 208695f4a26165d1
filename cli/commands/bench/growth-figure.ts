// The time of a step against batch, width and depth, all in multiples of the net and batch that were asked for.
import { dot, frame, line, text } from "@observablehq/plot";
import { drawFigure, ink, series, type Figure } from "../../../training/report/figure.ts";
import { exponent, type Growth } from "./growth.ts";

export function growthFigure(growth: Growth): Figure {
  const axes = Object.entries(growth).filter(([, rows]) => rows.length > 1);
  const lines = axes.map(([axis, rows], i) => ({
    label: `${axis}: time ~ ${axis}^${exponent(rows).toFixed(2)}`,
    color: series[i],
    points: rows.map(({ factor, stepMs }) => ({ x: factor, y: stepMs })),
  }));
  const factors = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))];
  const times = lines.flatMap(({ points }) => points.map(({ y }) => y));
  // Room above for the names.
  const range = [Math.min(...times) / 1.3, Math.max(...times) * 2];
  return drawFigure("growth", "Time of a training step as batch, width and depth grow", {
    marginLeft: 66,
    x: { type: "log", base: 2, label: "times the net and batch asked for", ticks: factors, tickFormat: String },
    y: { type: "log", label: "ms a step", grid: true, domain: range, ticks: 5, tickFormat: (y: number) => String(y) },
    marks: [
      frame({ strokeOpacity: 0.25 }),
      ...lines.flatMap(({ points, color }) => [
        line(points, { x: "x", y: "y", stroke: color, strokeWidth: 2 }),
        dot(points, { x: "x", y: "y", fill: color, r: 3 }),
      ]),
      ...lines.map(({ label, color }, i) =>
        text([`― ${label}`], {
          frameAnchor: "top-left",
          dx: 8,
          dy: 10 + 15 * i,
          fill: color,
          stroke: ink.background,
          strokeWidth: 4,
          fontWeight: "bold",
        }),
      ),
    ],
  });
}
