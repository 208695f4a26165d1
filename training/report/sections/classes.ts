// Each class by itself, what is taken for what, and how far confidences can be trusted.
import type { ClassReport, ConfusedPair } from "../../classification-report.ts";
import { classBars, confusionMatrix, reliability } from "../figures/classes.ts";
import { grouped, percent } from "../format.ts";
import { details, html, table, type Html } from "../html.ts";
import type { Material } from "../material.ts";
import { show, type Section } from "../section.ts";

const PAIRS = 10;
/** Longer tables are folded. */
const LONG = 20;

export function classesSection({ result }: Material): Section {
  const bars = classBars(result);
  const matrices = [confusionMatrix(result, { normalised: false }), confusionMatrix(result, { normalised: true })];
  const calibration = reliability(result);
  const perClass = classTable(result.perClass);
  const names = result.perClass.map((row) => row.class);
  const body = html`<div class="grid">
      ${show(bars, `Dashed: all classes together, ${percent(result.accuracy)}.`)}
      ${show(calibration, "On the diagonal answers are right as often as they claim. Larger dots stand for more images.")}
    </div>
    ${result.perClass.length > LONG ? details(`All ${result.perClass.length} classes as a table`, perClass) : perClass}
    <p>
      Means over the classes: precision ${percent(result.macro.precision)}, recall ${percent(result.macro.recall)}, F1
      ${percent(result.macro.f1)}.
    </p>
    <h3>What is taken for what</h3>
    <div class="grid">${matrices.map((matrix) => show(matrix))}</div>
    ${pairTable(result.confusedPairs, names)}`;
  return { id: "classes", title: "Classes", body, figures: [bars, calibration, ...matrices] };
}

const classTable = (rows: readonly ClassReport[]): Html =>
  table(
    "Precision, recall and F1 of each class",
    [
      { head: "Class", cell: (row) => row.class, words: true },
      { head: "Images", cell: ({ count }) => grouped(count) },
      { head: "Right", cell: ({ correct }) => grouped(correct) },
      { head: "Precision", cell: ({ precision }) => percent(precision, 1) },
      { head: "Recall (accuracy)", cell: ({ recall }) => percent(recall, 1) },
      { head: "F1", cell: ({ f1 }) => percent(f1, 1) },
    ],
    rows,
  );

function pairTable(pairs: readonly ConfusedPair[], names: readonly string[]): Html {
  if (pairs.length === 0) return html`<p>No class was taken for another.</p>`;
  const name = (label: number): string => names[label] ?? `class ${label}`;
  return table(
    "Most confused pairs",
    [
      { head: "Is", cell: ({ truth }) => name(truth), words: true },
      { head: "Taken for", cell: ({ prediction }) => name(prediction), words: true },
      { head: "Images", cell: ({ count }) => grouped(count) },
      { head: "Of the true class", cell: ({ share }) => percent(share, 1) },
    ],
    pairs.slice(0, PAIRS),
  );
}
