import { unravel } from "../reference/array.ts";

/** Distance from 1 to the next float32; one ulp of y is at most EPS32 * |y|. */
export const EPS32 = 2 ** -23;
/** Results below this may be flushed to zero (WGSL, "Floating Point Evaluation"). */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * What the arithmetic of an op is made of; an op of several steps lists several ("exp" then "div"), and repeats count.
 * - exact: moves, comparisons, max, relu, integers: nothing may differ
 * - add: one +, -, * or fma (also add of a bias, scaling by a constant)
 * - sum: an accumulation of `terms` products
 * - div, sqrt, rsqrt, exp, log, pow, tanh: the WGSL built-ins
 * - softmax: exp of a difference, divided by a sum
 * - erf: Kiln's own approximation
 * - half: a result that is stored as f16
 * - winograd: a "sum" of transformed values, whose rounding errors the transform back multiplies by `amplification` (winograd.ts)
 */
export type Kind =
  | "exact"
  | "add"
  | "sum"
  | "div"
  | "sqrt"
  | "rsqrt"
  | "exp"
  | "log"
  | "pow"
  | "tanh"
  | "softmax"
  | "erf"
  | "half"
  | "winograd";

export interface Accuracy {
  /** Ulps of the result's magnitude. */
  ulps: number;
  /** Ulps more for each unit of the argument's magnitude (`at`). */
  ulpsPerUnit?: number;
  /** Error that does not shrink with the result, for arguments and results of order one (scaled by `scale`). */
  absolute?: number;
}

/**
 * From the table in WGSL's "Floating Point Accuracy" (f32); "inherited from" rows are composed from their parts.
 */
export const ACCURACY: Record<Exclude<Kind, "sum" | "winograd">, Accuracy> = {
  exact: { ulps: 0 },
  add: { ulps: 1 }, // correctly rounded, to either neighbour
  div: { ulps: 2.5 },
  rsqrt: { ulps: 2 },
  sqrt: { ulps: 4.5 }, // 1.0 / inverseSqrt(x): 2 + 2.5
  exp: { ulps: 3, ulpsPerUnit: 2 }, // 3 + 2 |x|
  log: { ulps: 3, absolute: 2 ** -21 }, // absolute within [0.5, 2], 3 ulp outside
  // exp2(y * log2(x)), t = |y log2 x| = `at`: the product's and log2's (3 + 1) ulps of t times ln 2, exp2's own 3 + 2 t. Within
  // x in [0.5, 2] log2 is off by 2^-21 = 4 ulps of one; times |y| <= 4 and ln 2, that is 12 ulps.
  pow: { ulps: 15, ulpsPerUnit: 5 },
  tanh: { ulps: 0, absolute: 1e-5 },
  softmax: { ulps: 5.5, ulpsPerUnit: 3 }, // exp(x - max) with the difference rounded (1 |x|), then a division
  erf: { ulps: 2, absolute: 2e-7 + 2 * EPS32 }, // Abramowitz & Stegun 7.1.26 (1.5e-7) class, and its evaluation in f32
  // To either neighbour: Vulkan leaves the rounding of pack2x16float to the driver. 10 bits of fraction for 23; subnormals lie 2^-24 apart.
  half: { ulps: 2 ** 13, absolute: 2 ** -24 },
};

/**
 * Rounding errors of a sum of K terms grow like a random walk: sqrt(K) * eps of the sum's scale. The factor leaves room for the worst
 * of many elements and for the roundings around the sum, and is still far below one lost or doubled term.
 */
const SUM_FACTOR = 2;

export interface ToleranceOptions {
  kind?: Kind | readonly Kind[];
  /** K: how many products were accumulated into one result (conv forward: R*S*C; weight gradient: N*P*Q). Needed by "sum". */
  terms?: number;
  /** By how much a "winograd" transform multiplies rounding errors: see winogradAccuracy. */
  amplification?: number;
  /** Magnitude of the result, or of the largest intermediate where they cancel. */
  scale?: number;
  /** Magnitude of the argument of exp, pow (|y log2 x|) or softmax (the logits' range). */
  at?: number;
}

/** The one rule: how far a float32 result of magnitude `scale` may lie from the exact one. */
export function tolerance({ kind = "sum", terms, amplification, scale = 1, at = 0 }: ToleranceOptions): number {
  let allowed = 0;
  for (const step of typeof kind === "string" ? [kind] : kind) {
    if (isSum(step)) {
      if (terms === undefined)
        throw new Error(`tolerance: kind "${step}" needs \`terms\`, the number of products in one sum`);
      if (step === "winograd" && amplification === undefined)
        throw new Error('tolerance: kind "winograd" needs `amplification`');
      allowed += SUM_FACTOR * EPS32 * Math.sqrt(terms) * (step === "sum" ? 1 : amplification!) * scale;
    } else {
      const { ulps, ulpsPerUnit = 0 } = ACCURACY[step];
      allowed += (ulps + ulpsPerUnit * Math.abs(at)) * EPS32 * scale;
    }
  }
  return allowed;
}

const isSum = (kind: Kind): kind is "sum" | "winograd" => kind === "sum" || kind === "winograd";

/** The part of the tolerance that stays when the result is small. */
function floorOf(kinds: readonly Kind[]): number {
  return kinds.reduce((total, kind) => total + (isSum(kind) ? 0 : (ACCURACY[kind].absolute ?? 0)), 0);
}

type Values =
  | ArrayLike<number>
  | { readonly data: ArrayLike<number>; readonly shape: readonly number[]; readonly uncertainty?: number };

export interface Comparison {
  op: string;
  /** Shapes of the inputs, printed by a failure: { x: [1,4,4,3], weight: [3,3,3,8] }. */
  shapes: Readonly<Record<string, readonly number[]>>;
  /** Stride, padding, variant, ...: printed by a failure. */
  options?: unknown;
  /** Default "sum". */
  kind?: Kind | readonly Kind[];
  terms?: number;
  amplification?: number;
  /**
   * Default: for "sum" and "winograd" the largest |want| (the terms of one sum are alike), else each element's own |want|. Give it, once or per
   * element, where larger intermediates cancel (variance, batch-norm gradients) or an absolute error is multiplied (gelu: |x|).
   */
  scale?: number | ArrayLike<number>;
  /** The argument's magnitude, once or per element; for exp and pow it is recovered from `want` when left out. */
  at?: number | ArrayLike<number>;
  /** Shape of the result, where `want` is not an array with a shape. */
  shape?: readonly number[];
}

const valuesOf = (v: Values): ArrayLike<number> => ("data" in v ? v.data : v);
const shapeOf = (v: Values): readonly number[] | undefined => ("data" in v ? v.shape : undefined);
const element = (v: number | ArrayLike<number>, i: number): number => (typeof v === "number" ? v : v[i]);

/** Allowed difference of each element. */
export function allowedDifferences(want: Values, how: Comparison): Float64Array {
  const kinds: readonly Kind[] =
    how.kind === undefined ? ["sum"] : typeof how.kind === "string" ? [how.kind] : how.kind;
  const values = valuesOf(want);
  const uncertainty = ("uncertainty" in want ? want.uncertainty : undefined) ?? 0;
  const exact = kinds.every((kind) => kind === "exact");
  const floor = floorOf(kinds);
  const unknownArgument = kinds.includes("softmax") && how.at === undefined;
  if (unknownArgument) throw new Error(`${how.op}: kind "softmax" needs \`at\`, the range of its arguments`);
  let largest = 0;
  for (let i = 0; i < values.length; i++)
    if (Number.isFinite(values[i])) largest = Math.max(largest, Math.abs(values[i]));
  return Float64Array.from({ length: values.length }, (_, i) => {
    if (exact) return uncertainty;
    const given = how.scale === undefined ? undefined : Math.abs(element(how.scale, i));
    const size = Number.isFinite(values[i]) ? Math.abs(values[i]) : 0;
    const scale = Math.max(given ?? (kinds.some(isSum) ? largest : size), size);
    const at = how.at === undefined ? Math.abs(Math.log2(Math.max(size, SMALLEST_NORMAL))) : element(how.at, i);
    const { terms, amplification } = how;
    const sum = { ...(terms !== undefined && { terms }), ...(amplification !== undefined && { amplification }) };
    return tolerance({ kind: kinds, scale, at, ...sum }) + floor * (given ?? 1) + SMALLEST_NORMAL + uncertainty;
  });
}

/** NaN wants NaN and an infinity wants the same infinity (also where the exact value overflows float32). */
function differs(got: number, want: number, allowed: number): boolean {
  const rounded = Math.fround(want);
  if (!Number.isFinite(got) || !Number.isFinite(rounded)) return !Object.is(got, rounded);
  return !(Math.abs(got - want) <= allowed);
}

/**
 * Throws unless every element of `got` (float32) lies within the tolerance of `want` (float64): the message names the op, shapes,
 * options and the worst element. Lengths, and shapes where both sides have one, must be equal.
 */
export function expectClose(got: Values, want: Values, how: Comparison): void {
  const a = valuesOf(got);
  const b = valuesOf(want);
  const gotShape = shapeOf(got);
  const wantShape = how.shape ?? shapeOf(want);
  if (a.length !== b.length) throw new Error(`${describe(how)}: got ${a.length} values, want ${b.length}`);
  if (gotShape !== undefined && wantShape !== undefined && gotShape.join() !== wantShape.join()) {
    throw new Error(`${describe(how)}: got shape [${gotShape.join(",")}], want [${wantShape.join(",")}]`);
  }
  const allowed = allowedDifferences(want, how);
  let failures = 0;
  let worst = -1;
  let worstRatio = -1;
  for (let i = 0; i < b.length; i++) {
    if (!differs(a[i], b[i], allowed[i])) continue;
    failures++;
    const distance = Math.abs(a[i] - b[i]);
    const ratio = Number.isFinite(distance) ? distance / Math.max(allowed[i], SMALLEST_NORMAL) : Infinity;
    if (ratio > worstRatio) [worst, worstRatio] = [i, ratio];
  }
  if (failures === 0) return;
  const index = unravel(worst, wantShape ?? [b.length]);
  const first = (v: ArrayLike<number>): string =>
    Array.from({ length: Math.min(5, v.length) }, (_, i) => v[i]).join(", ");
  throw new Error(
    `${describe(how)}: ${failures} of ${b.length} values differ\n` +
      `  worst at [${index.join(",")}]: got ${a[worst]}, want ${b[worst]}, ` +
      `off by ${Math.abs(a[worst] - b[worst])}, allowed ${allowed[worst]}\n` +
      `  first got  ${first(a)}\n  first want ${first(b)}`,
  );
}

function describe({ op, shapes, options }: Comparison): string {
  const list = Object.entries(shapes).map(([name, shape]) => `${name} [${shape.join(",")}]`);
  return `${op} ${list.join(", ")}${options === undefined ? "" : ` ${JSON.stringify(options)}`}`;
}
