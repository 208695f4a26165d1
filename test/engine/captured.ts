// Calling captured steps: shared by the tests of capture().
import { fromData, keep, scope, type Tensor } from "../../engine/index.ts";

export const numbers = (...values: number[]): Tensor => keep(fromData(values, [values.length]));

/** Calls a step with the numbers 1, 2, 3, ... and gives what it returns. */
export async function results(step: (x: Tensor) => Tensor, calls: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 1; i <= calls; i++) {
    using x = numbers(i);
    using y = scope(() => step(x));
    all.push(await y.item());
  }
  return all;
}
