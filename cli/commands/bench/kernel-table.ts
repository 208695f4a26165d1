// The rows of kernels.ts as text.
import type { Ceilings } from "./ceilings.ts";
import type { KernelProfile, KernelRow } from "./kernels.ts";
import { table } from "./table.ts";

/** The smallest share of a step that gets a line of its own. */
const LEAST = 0.001;
const LONGEST_NAME = 76;

function describeCeilings({ gflops, copyGBs, loadGBs }: Ceilings): string[] {
  return [
    `ceilings    ${number(gflops)} GFLOP/s (multiply-add in registers), ${number(copyGBs)} GB/s (copy), ${number(loadGBs)} GB/s (loads from cache)`,
  ];
}

/** A line a kernel, and one for all that take next to nothing. */
export function describeKernels({ kernels, milliseconds, ceilings }: KernelProfile): string[] {
  const shown = kernels.filter(({ share }) => share >= LEAST);
  const rest = kernels.slice(shown.length);
  const lines = table(
    ["kernel", "calls", "ms", "step", "GFLOP/s", "peak", "GB/s", "copy"],
    [...shown.map(cells), ...(rest.length > 0 ? [restCells(rest, milliseconds)] : [])],
  );
  return [...describeCeilings(ceilings), "", ...lines];
}

const cells = (row: KernelRow): string[] => [
  shortened(`${row.kernel}${row.shape && `  ${row.shape}`}`),
  String(row.calls),
  row.milliseconds.toFixed(2),
  percent(row.share),
  ...(row.flops > 0
    ? [number(row.gflops), row.arithmeticShare === null ? "" : percent(row.arithmeticShare)]
    : ["", ""]),
  number(row.gbs),
  percent(row.bandwidthShare),
];

function restCells(rows: readonly KernelRow[], total: number): string[] {
  const sum = (of: (row: KernelRow) => number): number => rows.reduce((all, row) => all + of(row), 0);
  const milliseconds = sum((row) => row.milliseconds);
  const calls = String(sum((row) => row.calls));
  return [`${rows.length} others`, calls, milliseconds.toFixed(2), percent(milliseconds / total), "", "", "", ""];
}

const shortened = (text: string): string =>
  text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 3)}...` : text;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Three digits, without an exponent. */
const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
