// What an evaluation found, for people and for programs.
import type { ClassificationReport, ClassReport, RawDataset, Tta } from "../../../training/index.ts";
import { grouped, percent } from "../shared/output.ts";

/** A matrix with more columns is unreadable in a terminal. */
const LARGEST_MATRIX = 20;
const SHOWN_PAIRS = 5;
/** evaluation.json keeps so many. */
const KEPT_PAIRS = 50;
const KEPT_MISTAKES = 100;

/** Lines of logits that are written at once. */
const LINES_AT_ONCE = 1000;

/** Where the figures come from. */
export interface Source {
  readonly checkpoint: string;
  readonly model: string;
  readonly data: RawDataset;
  readonly tta: Tta;
}

/** evaluation.json: the report, with the most confident mistakes and the most frequent pairs. `confusion[truth][prediction]` counts images. */
export function toDocument(report: ClassificationReport, source: Source): Record<string, unknown> {
  const { checkpoint, model, data, tta } = source;
  const { name, classes, mean, std, test } = data;
  const { count, loss, accuracy, top5Accuracy, mistakes, confusedPairs, ...rest } = report;
  const withFiles = mistakes
    .slice(0, KEPT_MISTAKES)
    .map((mistake) => ({ ...mistake, ...(test.paths && { path: test.paths[mistake.index] }) }));
  return {
    ...{ checkpoint, model, data: name, tta, count, loss, accuracy, top5Accuracy, classes },
    ...rest,
    mistakes: withFiles,
    confusedPairs: confusedPairs.slice(0, KEPT_PAIRS),
    mean,
    std,
  };
}

export function resultLines(report: ClassificationReport, classes: readonly string[]): string[] {
  const { count, loss, accuracy, top5Accuracy, perClass, confusion, calibration, macro } = report;
  const width = Math.max(5, ...classes.map((name) => name.length));
  const lines = [
    `images    ${grouped(count)}`,
    `loss      ${loss.toFixed(4)}`,
    `accuracy  ${percent(accuracy)}`,
    ...(top5Accuracy === null ? [] : [`top 5     ${percent(top5Accuracy)}`]),
    `ECE       ${percent(calibration.ece)} (calibration error)`,
    "",
    ...classLines(
      perClass.filter((row) => row.count > 0),
      { ...macro, accuracy },
      width,
    ),
    ...pairLines(report, classes),
  ];
  return classes.length > LARGEST_MATRIX ? lines : [...lines, "", ...matrixLines(confusion, classes, width)];
}

type Shares = Pick<ClassReport, "accuracy" | "precision" | "recall" | "f1">;

function classLines(rows: readonly ClassReport[], means: Shares, width: number): string[] {
  const shares = ({ accuracy, precision, recall, f1 }: Shares): string =>
    [accuracy, precision, recall, f1].map((share) => percent(share).padStart(10)).join("");
  const heads = ["accuracy", "precision", "recall", "F1"].map((head) => head.padStart(10)).join("");
  return [
    `${"class".padEnd(width)}${heads}`,
    ...rows.map((row) => `${row.class.padEnd(width)}${shares(row)}  ${row.correct} of ${row.count}`),
    `${"mean".padEnd(width)}${shares(means)}`,
  ];
}

function pairLines({ confusedPairs }: ClassificationReport, classes: readonly string[]): string[] {
  if (confusedPairs.length === 0) return [];
  const name = (index: number): string => classes[index] ?? `output ${index}`;
  const pairs = confusedPairs.slice(0, SHOWN_PAIRS).map(({ truth, prediction, count, share }) => {
    return `${name(truth)} taken for ${name(prediction)}: ${count} (${percent(share)})`;
  });
  return ["", "most confused", ...pairs];
}

function matrixLines(
  confusion: ClassificationReport["confusion"],
  classes: readonly string[],
  width: number,
): string[] {
  const cell = Math.max(4, String(Math.max(...confusion.flat())).length + 1);
  const column = (text: string): string => text.padStart(cell);
  const numbers = confusion[0].map((_, i) => column(String(i))).join("");
  const rows = confusion.map((row, i) => {
    const counts = row.map((n) => column(n === 0 ? "." : String(n))).join("");
    return `${String(i).padStart(2)} ${classes[i].padEnd(width)}${counts}`;
  });
  return [`${"confusion: true class in rows, predicted in columns"}`, `${" ".repeat(3 + width)}${numbers}`, ...rows];
}

/** A line for each image, in data-set order; in parts, as all of ImageNet's are more than one string holds. */
export function logitLines(logits: Float32Array, labels: ArrayLike<number>): Uint8Array[] {
  const outputs = logits.length / labels.length;
  const lines = Array.from(labels, (label, index) => {
    const row = Array.from(logits.subarray(index * outputs, (index + 1) * outputs));
    return `${JSON.stringify({ index, label, logits: row })}\n`;
  });
  return Array.from({ length: Math.ceil(lines.length / LINES_AT_ONCE) }, (_, part) =>
    new TextEncoder().encode(lines.slice(part * LINES_AT_ONCE, (part + 1) * LINES_AT_ONCE).join("")),
  );
}
