// What an evaluation found, for people and for programs.
import type { Evaluation, RawDataset } from "../../../training/index.ts";
import { grouped, percent } from "../shared/output.ts";

/** A matrix with more columns is unreadable in a terminal. */
const LARGEST_MATRIX = 20;

/** evaluation.json. `confusion[truth][prediction]` counts images. */
export function toDocument(
  { count, loss, accuracy, perClass, confusion }: Evaluation,
  source: { readonly checkpoint: string; readonly model: string; readonly data: RawDataset },
): Record<string, unknown> {
  const { checkpoint, model, data } = source;
  const { name, classes, mean, std } = data;
  return { checkpoint, model, data: name, count, loss, accuracy, classes, perClass, confusion, mean, std };
}

export function resultLines(evaluation: Evaluation, classes: readonly string[]): string[] {
  const { count, loss, accuracy, perClass, confusion } = evaluation;
  const width = Math.max(...classes.map((name) => name.length));
  const lines = [
    `images    ${grouped(count)}`,
    `loss      ${loss.toFixed(4)}`,
    `accuracy  ${percent(accuracy)}`,
    "",
    ...perClass
      .filter((row) => row.count > 0)
      .map((row) => `${row.class.padEnd(width)}  ${percent(row.accuracy).padStart(8)}  ${row.correct} of ${row.count}`),
  ];
  return classes.length > LARGEST_MATRIX ? lines : [...lines, "", ...matrixLines(confusion, classes, width)];
}

function matrixLines(confusion: Evaluation["confusion"], classes: readonly string[], width: number): string[] {
  const cell = Math.max(4, String(Math.max(...confusion.flat())).length + 1);
  const column = (text: string): string => text.padStart(cell);
  const numbers = confusion[0].map((_, i) => column(String(i))).join("");
  const rows = confusion.map((row, i) => {
    const counts = row.map((n) => column(n === 0 ? "." : String(n))).join("");
    return `${String(i).padStart(2)} ${classes[i].padEnd(width)}${counts}`;
  });
  return [`${"confusion: true class in rows, predicted in columns"}`, `${" ".repeat(3 + width)}${numbers}`, ...rows];
}

/** A line for each image, in data-set order. */
export function logitLines({ logits, count }: Evaluation, labels: ArrayLike<number>): string {
  const outputs = logits!.length / count;
  const lines: string[] = [];
  for (let index = 0; index < count; index++) {
    const row = Array.from(logits!.subarray(index * outputs, (index + 1) * outputs));
    lines.push(`${JSON.stringify({ index, label: labels[index], logits: row })}\n`);
  }
  return lines.join("");
}
