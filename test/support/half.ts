// f16 in tests: inputs that it can hold, and what its rounding adds to a tolerance.
import { halfToNumber, numberToHalf } from "../../engine/half-floats.ts";
import type { Arr } from "../reference/array.ts";
import type { Kind } from "./tolerance.ts";

export type FloatType = "f32" | "f16";

/** The numbers that a tensor of the type holds after `values` are written into it. */
export const stored = (values: Arr, dtype: FloatType): Arr =>
  dtype === "f32" ? values : { ...values, data: values.data.map((value) => halfToNumber(numberToHalf(value))) };

/** The kinds of arithmetic of an op that computes in f32 and stores the type. What is exact stays so. */
export function kindsOf(kind: Kind | readonly Kind[], dtype: FloatType): readonly Kind[] {
  const kinds: readonly Kind[] = typeof kind === "string" ? [kind] : kind;
  return dtype === "f16" && kinds.some((kind) => kind !== "exact") ? [...kinds, "half"] : kinds;
}
