// Known-answer checks of optional features, run when a device opens: drivers exist that list a feature and compute nonsense.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { empty, fromData, type Tensor } from "../tensor.ts";
import type { Geometry } from "./conv2d-geometry.ts";
import { weightGradientMatrix } from "./conv2d-matrix.ts";
import { matmulMatrix } from "./matmul-matrix.ts";

/** True if subgroups of `lanes` invocations behave as the subgroup kernels need. */
export async function subgroupsWork(lanes: number): Promise<boolean> {
  const ok = scope(() => {
    const ok = empty([lanes], "u32");
    launch(kernels.selfTest.subgroups, { bindings: { ok }, constants: { LANES: lanes }, workgroups: 1 });
    return ok;
  });
  try {
    return (await ok.data()).every((v) => v === 1);
  } catch {
    return false;
  } finally {
    ok.dispose();
  }
}

/** Not multiples of the tiles or of 32: the tails are tested too. */
const [ROWS, COLUMNS, DEPTH] = [72, 40, 104];

/**
 * What is wrong with products of subgroup matrices of the device's `matrix`, null where nothing is: those of whole numbers must come out
 * exactly. Sums in f16 would be off, or infinite. A 1 x 1 convolution's weight gradient is a product as well, of a matrix that is read
 * by columns, as no other kernel does.
 */
export async function matrixProblem(): Promise<string | null> {
  const left = wholeNumbers(ROWS * DEPTH, 7);
  const [right, below] = [wholeNumbers(DEPTH * COLUMNS, 5), wholeNumbers(ROWS * COLUMNS, 3)];
  const g: Geometry = {
    x: [1, 1, ROWS, DEPTH],
    y: [1, 1, ROWS, COLUMNS],
    weight: [1, 1, DEPTH, COLUMNS],
    stride: [1, 1],
    padding: [0, 0],
    dilation: [1, 1],
    groups: 1,
  };
  try {
    return (
      (await difference(
        "a product",
        () => matmulMatrix(fromData(left, [ROWS, DEPTH], "f16"), fromData(right, [DEPTH, COLUMNS], "f16"), [256, 64]),
        (row, column) => dot(DEPTH, (k) => left[row * DEPTH + k] * right[k * COLUMNS + column]),
      )) ??
      (await difference(
        "a weight gradient",
        () => weightGradientMatrix(fromData(left, g.x, "f16"), fromData(below, g.y, "f16"), g, [128, 128]),
        (row, column) => dot(ROWS, (k) => left[k * DEPTH + row] * below[k * COLUMNS + column]),
      ))
    );
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const wholeNumbers = (count: number, step: number): number[] =>
  Array.from({ length: count }, (_, i) => ((i * step) % 64) - 20);

const dot = (count: number, product: (k: number) => number): number =>
  Array.from({ length: count }, (_, k) => product(k)).reduce((sum, value) => sum + value);

/** The first number of a matrix with `COLUMNS` columns that is another than wanted. */
async function difference(
  what: string,
  compute: () => Tensor,
  want: (row: number, column: number) => number,
): Promise<string | null> {
  const y = scope(compute);
  try {
    for (const [i, got] of (await y.data()).entries()) {
      const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
      if (got !== want(row, column))
        return `row ${row}, column ${column} of ${what} is ${got}, not ${want(row, column)}`;
    }
    return null;
  } finally {
    y.dispose();
  }
}
