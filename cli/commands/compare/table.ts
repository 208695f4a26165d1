// What compare.js prints: results side by side, then the settings that differ.
import { bestEpoch } from "../../../training/best-epoch.ts";
import { elapsed, percent } from "../shared/output.ts";
import { rate } from "../train/table.ts";
import type { ComparedRun } from "./read.ts";

/** A row: what it is, and a value for each run. */
export type Row = readonly [name: string, ...values: string[]];

const NOTHING = "-";

/** The figures that a run came to. */
export function figuresOf({ name, dir, epochs }: ComparedRun) {
  const last = epochs[epochs.length - 1];
  const found = bestEpoch(epochs);
  const best = epochs.find(({ epoch }) => epoch === found?.epoch) ?? epochs[0];
  const seconds = epochs.reduce((sum, report) => sum + report.seconds, 0);
  // 0: resumed at the end of an epoch, whose images were trained on before.
  const rates = epochs.map((report) => report.imagesPerSecond).filter((each) => each > 0);
  const imagesPerSecond = rates.length === 0 ? null : rates.reduce((sum, each) => sum + each, 0) / rates.length;
  return { name, dir, epochs: epochs.length, last, best, seconds, imagesPerSecond };
}

/** With a validation split the best epoch is the one that did best there: its test accuracy may well be below the last one's. */
const BEST = {
  test: "test accuracy, best",
  validation: "test accuracy at the best validation epoch",
  both: "test accuracy, best (or at the best validation epoch)",
} as const;

function bestBy(runs: readonly ComparedRun[]): keyof typeof BEST {
  const validated = runs.filter(({ epochs }) => epochs.some((report) => typeof report.validationAccuracy === "number"));
  if (validated.length === 0) return "test";
  return validated.length === runs.length ? "validation" : "both";
}

export function resultRows(runs: readonly ComparedRun[]): Row[] {
  const all = runs.map(figuresOf);
  type Figures = (typeof all)[number];
  const row = (name: string, value: (figures: Figures) => string): Row => [name, ...all.map(value)];
  const share = (value: number | null): string => (value === null ? NOTHING : percent(value));
  return [
    row("epochs", ({ epochs }) => String(epochs)),
    row("test accuracy, last", ({ last }) => share(last.testAccuracy)),
    row(BEST[bestBy(runs)], ({ best }) => share(best.testAccuracy)),
    row("in epoch", ({ best }) => String(best.epoch)),
    row("test loss, last", ({ last }) => last.testLoss?.toFixed(4) ?? NOTHING),
    row("training accuracy", ({ last }) => percent(last.trainAccuracy)),
    row("training loss", ({ last }) => last.trainLoss.toFixed(4)),
    row("first learning rate", (figures) => rate(runs[all.indexOf(figures)].epochs[0].lr)),
    row("time", ({ seconds }) => elapsed(seconds)),
    row("images/s", ({ imagesPerSecond }) => imagesPerSecond?.toFixed(0) ?? NOTHING),
  ];
}

/** What decides which images are trained on, and how they look: the normalisation is measured on them. */
const IMAGES = ["data", "split", "validation", "limit", "imageSize", "resize"];
/** What merely follows from other settings. */
const FOLLOWS: Readonly<Record<string, readonly string[]>> = { classes: ["data"], mean: IMAGES, std: IMAGES };

/** Settings with different values, in the order of the first run that has them; what merely follows from others is left out. */
export function differences(runs: readonly ComparedRun[]): Row[] {
  const keys = new Set(runs.flatMap(({ settings }) => Object.keys(settings)));
  const differ = (key: string): boolean => new Set(runs.map(({ settings }) => settings[key])).size > 1;
  return [...keys]
    .filter((key) => !FOLLOWS[key]?.some(differ))
    .map((key): Row => [key, ...runs.map(({ settings }) => settings[key] ?? NOTHING)])
    .filter(([, ...values]) => new Set(values).size > 1);
}

/** Rows for people: fractions with four digits, unless values that differ would then read the same. */
export const readable = (rows: readonly Row[]): Row[] =>
  rows.map(([name, ...values]) => {
    const short = values.map((value) =>
      value.replace(/-?\d+\.\d{4,}(?:e[-+]?\d+)?/gi, (number) => String(Number(Number(number).toPrecision(4)))),
    );
    return [name, ...(new Set(short).size === new Set(values).size ? short : values)];
  });

/** Columns as wide as what is in them. */
export function tableLines(head: Row, rows: readonly Row[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  return all.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  );
}
