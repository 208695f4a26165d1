// Figures of single classes.
import { barX, cell, dot, frame, lineY, ruleX, text } from "@observablehq/plot";
import type { ClassificationReport } from "../../classification-report.ts";
import { drawFigure, ink, type Figure } from "../figure.ts";

/** More classes than this are unreadable in one picture; then the worst are shown. */
const MOST_BARS = 40;
const MOST_CELLS = 30;
/** Cells with more classes than this have no numbers. */
const MOST_NUMBERS = 15;

/** Longer names are cut on axes. */
const MOST_LETTERS = 22;
const short = (name: string): string => (name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1)}…` : name);

const marginFor = (names: readonly string[]): number =>
  24 + 7.5 * names.reduce((most, name) => Math.max(most, short(name).length), 0);

/** How many classes the confusion matrices leave out. */
export const hiddenClasses = ({ perClass }: ClassificationReport): number => Math.max(0, perClass.length - MOST_CELLS);

/** Accuracy of each class, the mean as a line. */
export function classBars({ perClass, accuracy }: ClassificationReport): Figure {
  const all = perClass.filter(({ count }) => count > 0);
  const some = all.length > MOST_BARS ? [...all].sort((a, b) => a.accuracy - b.accuracy).slice(0, MOST_BARS) : all;
  const title = all.length > MOST_BARS ? `Accuracy of the ${MOST_BARS} worst classes` : "Accuracy of each class";
  const bars = some.map(({ class: name, accuracy: share }) => ({ name, percent: 100 * share }));
  return drawFigure("class-accuracy", title, {
    height: 60 + 24 * bars.length,
    marginLeft: marginFor(bars.map(({ name }) => name)),
    marginRight: 60,
    x: { label: "accuracy (%)", domain: [0, 100], grid: true },
    y: { label: null, domain: bars.map(({ name }) => name), tickFormat: short },
    marks: [
      barX(bars, { x: "percent", y: "name", fill: ink.train, insetTop: 2, insetBottom: 2 }),
      ruleX([100 * accuracy], { stroke: ink.test, strokeWidth: 2, strokeDasharray: "5 3" }),
      // In the margin: at the bars' ends the mean's line would cross them.
      text(bars, {
        frameAnchor: "right",
        y: "name",
        text: ({ percent }: { percent: number }) => `${percent.toFixed(1)} %`,
        textAnchor: "end",
        dx: 54,
        fill: ink.text,
      }),
    ],
  });
}

/** How many images each class has in each part of the data, side by side. */
export function countBars(
  parts: readonly { readonly name: string; readonly counts: readonly number[] }[],
  classes: readonly string[],
): Figure {
  const some = classes.slice(0, MOST_BARS);
  const colors = [ink.train, ink.validation, ink.test];
  const bars = parts.flatMap(({ name: part, counts }, i) =>
    some.map((name, c) => ({ name, part, count: counts[c], color: parts.length === 3 ? colors[i] : colors[2 * i] })),
  );
  const shown = classes.length > some.length ? ` (the first ${some.length} classes)` : "";
  return drawFigure("class-counts", `Images of each class${shown}`, {
    height: 70 + 16 * parts.length * some.length + 6 * some.length,
    marginLeft: marginFor([...some, "validation"]),
    marginRight: 110,
    x: { label: "images", grid: true },
    fy: { label: null, domain: some, padding: 0.15, tickFormat: short },
    y: { axis: null, domain: parts.map(({ name }) => name) },
    color: { type: "identity" },
    marks: [
      barX(bars, { x: "count", y: "part", fy: "name", fill: "color", insetTop: 0.5, insetBottom: 0.5 }),
      text(bars, {
        x: "count",
        y: "part",
        fy: "name",
        text: ({ count, part }: { count: number; part: string }) => `${count.toLocaleString("en-US")} ${part}`,
        textAnchor: "start",
        dx: 5,
        fontSize: 10,
        fill: ink.text,
      }),
    ],
  });
}

/** True classes in rows, predictions in columns; `normalised`: as shares of the rows with three decimals. */
export function confusionMatrix(
  { confusion, confusionNormalised, perClass }: ClassificationReport,
  { normalised }: { readonly normalised: boolean },
): Figure {
  const shown = Math.min(perClass.length, MOST_CELLS);
  const names = perClass.slice(0, shown).map((row) => row.class);
  const cells = confusionNormalised.slice(0, shown).flatMap((row, truth) =>
    row.slice(0, shown).map((share, prediction) => ({
      truth: names[truth],
      prediction: names[prediction],
      share,
      label: normalised ? share.toFixed(3) : String(confusion[truth][prediction]),
    })),
  );
  const size = shown > MOST_NUMBERS ? 18 : 48;
  const margin = marginFor(names);
  const cut = perClass.length > shown;
  const part = cut ? ` (the first ${shown} of ${perClass.length} classes)` : "";
  const what = normalised ? "Confusion matrix, shares of each true class" : "Confusion matrix, numbers of images";
  return drawFigure(normalised ? "confusion-normalised" : "confusion", what + part, {
    width: margin + 24 + size * shown,
    height: margin + (cut ? 60 : 40) + size * shown * 0.72,
    marginLeft: margin,
    marginBottom: margin,
    marginTop: cut ? 44 : 24,
    x: { label: "predicted", domain: names, tickRotate: -45, tickFormat: short },
    y: { label: "true", domain: names, tickFormat: short },
    color: { type: "linear", domain: [0, 1], range: ["rgba(0,114,178,0.04)", "rgba(0,114,178,1)"] },
    marks: [
      cell(cells, {
        x: "prediction",
        y: "truth",
        // A square root shows the small shares, which are what one looks for.
        fill: ({ share }: { share: number }) => Math.sqrt(share),
        inset: 0.5,
      }),
      // A file by itself has no caption that says so.
      ...(cut
        ? [
            text([what + part], {
              frameAnchor: "top-right",
              lineAnchor: "bottom",
              dy: -24,
              fill: ink.text,
              fontWeight: "bold",
            }),
          ]
        : []),
      ...(shown <= MOST_NUMBERS
        ? [
            text(cells, {
              x: "prediction",
              y: "truth",
              text: "label",
              fill: ({ share }: { share: number }) => (share > 0.7 ? "#ffffff" : ink.text),
              fontSize: 10,
            }),
          ]
        : []),
    ],
  });
}

/** How often answers are right against how sure they are: on the diagonal where the model knows itself. */
export function reliability({ calibration }: ClassificationReport): Figure {
  const bins = calibration.bins.filter(({ count }) => count > 0);
  const most = bins.reduce((largest, { count }) => Math.max(largest, count), 1);
  return drawFigure("calibration", `Calibration: expected error ${(100 * calibration.ece).toFixed(2)} %`, {
    width: 420,
    height: 380,
    x: { label: "confidence", domain: [0, 1] },
    y: { label: "accuracy", domain: [0, 1], grid: true },
    marks: [
      frame({ strokeOpacity: 0.25 }),
      lineY(
        [
          { x: 0, y: 0 },
          { x: 1, y: 1 },
        ],
        { x: "x", y: "y", stroke: ink.faint, strokeDasharray: "4 3" },
      ),
      lineY(bins, { x: "confidence", y: "accuracy", stroke: ink.train, strokeWidth: 1.5 }),
      dot(bins, {
        x: "confidence",
        y: "accuracy",
        r: ({ count }: { count: number }) => 2.5 + 7 * Math.sqrt(count / most),
        fill: ink.train,
        fillOpacity: 0.75,
      }),
    ],
    r: { type: "identity" },
  });
}
