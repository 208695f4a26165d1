// Known-answer checks of optional features, run when a device opens: drivers exist that list a feature and compute nonsense.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { empty, fromData, type Tensor } from "../tensor.ts";
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
 * exactly. Sums in f16 would be off, or infinite.
 */
export async function matrixProblem(): Promise<string | null> {
  const numbers = (count: number, step: number): number[] =>
    Array.from({ length: count }, (_, i) => ((i * step) % 64) - 20);
  const [left, right] = [numbers(ROWS * DEPTH, 7), numbers(DEPTH * COLUMNS, 5)];
  const want = (i: number): number => {
    let sum = 0;
    for (let k = 0; k < DEPTH; k++)
      sum += left[Math.floor(i / COLUMNS) * DEPTH + k] * right[k * COLUMNS + (i % COLUMNS)];
    return sum;
  };
  const operands = [fromData(left, [ROWS, DEPTH], "f16"), fromData(right, [DEPTH, COLUMNS], "f16")] as const;
  let y: Tensor | null = null;
  try {
    y = matmulMatrix(...operands);
    const got = await y.data();
    const wrong = got.findIndex((v, i) => v !== want(i));
    if (wrong < 0) return null;
    return `row ${Math.floor(wrong / COLUMNS)}, column ${wrong % COLUMNS} of a product is ${got[wrong]}, not ${want(wrong)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const tensor of [...operands, y]) tensor?.dispose();
  }
}
