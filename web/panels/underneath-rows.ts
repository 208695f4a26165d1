// The rows of the kernel table, and how their numbers are written.
import { grouped } from "../parts/format.ts";
import type { DispatchRow, StepListing } from "../worker/kernels.ts";

/** A dispatch, or all dispatches of one kernel. */
export interface Row {
  /** From 1: of a group the first dispatch. */
  readonly number: number;
  readonly file: string;
  readonly calls: number;
  readonly workgroups: number;
  /** "128", "65,535 × 2"; of a group all its workgroups. */
  readonly grid: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
  /** The dispatch whose text is shown: of a group its longest. */
  readonly dispatch: DispatchRow;
}

export function rowsOf({ dispatches, kernels }: StepListing): Row[] {
  return dispatches.map((dispatch, i) => {
    const { grid, milliseconds, flops, bytes, kernel } = dispatch;
    return {
      number: i + 1,
      file: kernels[kernel].file,
      calls: 1,
      workgroups: grid[0] * grid[1],
      grid: showGrid(grid),
      milliseconds,
      flops,
      bytes,
      dispatch,
    };
  });
}

export function byFile(rows: readonly Row[]): Row[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(row.file, [...(groups.get(row.file) ?? []), row]);
  return [...groups.values()].map((some) => {
    const longest = some.reduce((a, b) => (b.milliseconds > a.milliseconds ? b : a));
    const workgroups = some.reduce((sum, row) => sum + row.workgroups, 0);
    return {
      ...some[0],
      ...sumOf(some),
      calls: some.length,
      workgroups,
      grid: grouped(workgroups),
      dispatch: longest.dispatch,
    };
  });
}

export interface Sum {
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export function sumOf(some: readonly Sum[]): Sum {
  const total = (of: (each: Sum) => number): number => some.reduce((sum, each) => sum + of(each), 0);
  return {
    milliseconds: total(({ milliseconds }) => milliseconds),
    flops: total(({ flops }) => flops),
    bytes: total(({ bytes }) => bytes),
  };
}

export const showGrid = ([columns, rows]: DispatchRow["grid"]): string =>
  rows === 1 ? grouped(columns) : `${grouped(columns)} × ${grouped(rows)}`;

/** Milliseconds. */
export const time = (milliseconds: number): string =>
  milliseconds >= 100 ? grouped(Math.round(milliseconds)) : milliseconds.toFixed(milliseconds >= 1 ? 2 : 3);

/** Billions a second. */
export function rate(amount: number, milliseconds: number): string {
  if (amount === 0 || milliseconds <= 0) return "–";
  const billions = amount / milliseconds / 1e6;
  return billions >= 100 ? grouped(Math.round(billions)) : billions.toFixed(billions >= 10 ? 1 : 2);
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
