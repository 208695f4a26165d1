// Numbers as the page shows them.
export { grouped } from "../../training/report/format.ts";

export const percent = (share: number | null | undefined, digits = 1): string =>
  share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;

export const fixed = (value: number | null | undefined, digits = 4): string =>
  value === null || value === undefined ? "–" : value.toFixed(digits);

export const short = (value: number): string => String(Number(value.toPrecision(3)));

export function bytes(count: number): string {
  const [unit, size] = count < 2 ** 30 ? ["MiB", 2 ** 20] : ["GiB", 2 ** 30];
  return `${(count / size).toFixed(count < 10 * size ? 1 : 0)} ${unit}`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Flags of the command line, by the labels that their fields have here. */
const LABELS: Readonly<Record<string, string>> = {
  lr: "the learning rate",
  "start-lr": "the first rate of the range test",
  "end-lr": "last rate of the range test",
  iterations: "iterations of the range test",
};

/** A message of the library, which speaks of the command line's flags, as a sentence of the page. */
export function inPageWords(message: string): string {
  // "fit: ...", "findLearningRate: ...": who says so matters to programmers.
  const words = message
    .replace(/^(findLearningRate|Trainer|fit|data): /, "")
    // The page has one folder, and the browser gives its own reason before this.
    .replace(/: make (room there|it writable) .*$/, "")
    .replace(/--([a-z-]+)/g, (_, name: string) => LABELS[name] ?? name.replaceAll("-", " "));
  return words.charAt(0).toUpperCase() + words.slice(1);
}
