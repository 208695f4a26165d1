// How Winograd's algorithm magnifies rounding errors, from its transforms: the reason behind tolerance's kind "winograd".

type Matrix = readonly (readonly number[])[];

/** The transforms of one dimension: y = at ((g w) * (bt x)), with m results from m + 2 values of x and 3 of w. */
export interface WinogradTransforms {
  readonly at: Matrix;
  readonly g: Matrix;
  readonly bt: Matrix;
}

const POINTS = { 2: [0, 1, -1], 4: [0, 2 / 3, -2 / 3, 3 / 2, -3 / 2] } as const;

/** From the points (and infinity) alone, by Lagrange's interpolation: nothing is copied from the kernels. */
export function winogradTransforms(tile: 2 | 4): WinogradTransforms {
  const points = POINTS[tile];
  const powers = (p: number, n: number): number[] => Array.from({ length: n }, (_, i) => p ** i);
  const last = (n: number): number[] => Array.from({ length: n }, (_, i) => (i === n - 1 ? 1 : 0));
  const a = [...points.map((p) => powers(p, tile)), last(tile)];
  const g = [
    ...points.map((p) => powers(p, 3).map((value) => value / others(points, p).reduce((f, q) => f * (p - q), 1))),
    last(3),
  ];
  const bt = [...points.map((p) => [...polynomial(others(points, p)), 0]), polynomial(points)];
  return { at: transposed(a), g, bt };
}

const others = (points: readonly number[], p: number): number[] => points.filter((q) => q !== p);

/** Coefficients of (x - root) (x - root) ..., the constant first. */
function polynomial(roots: readonly number[]): number[] {
  return roots.reduce<number[]>((c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)), [1]);
}

const transposed = (m: Matrix): number[][] => m[0].map((_, j) => m.map((row) => row[j]));
const norm = (v: readonly number[]): number => Math.hypot(...v);

/**
 * What `expectClose` needs for one pass that sums `products` products (the other side's channels; the tiles for the weight gradient).
 *
 * With independent values of equal variance, the product of plane i has the standard deviation |row i of bt| |row i of g| in each
 * dimension. A relative rounding error of it reaches result p multiplied by at[p][i]; direct summation of the 3 values has sqrt(3).
 * So errors of result p are amplified by sqrt(sum_i (at[p][i] |bt_i| |g_i|)^2) / sqrt(3), in each of two dimensions: 7.1 at the worst
 * for tile 4 (31 with the customary points 1, -1, 2, -2), 1.7 for tile 2. In the weight gradient at and g change places.
 */
export function winogradAccuracy(tile: 2 | 4, pass: "forward" | "weightGradient", products: number) {
  const { g, bt, at } = winogradTransforms(tile);
  const other = pass === "forward" ? g : transposed(at);
  const errors = amplifications(tile, pass);
  // Each of the three transforms adds the roundings of two sums of its length.
  const roundings = 2 * (bt.length + other[0].length + bt.length);
  return { kind: "winograd" as const, terms: products + roundings, amplification: Math.max(...errors) ** 2 };
}

/** The same as a root mean square over a tile's results: how much larger the errors of a whole net's convolutions are than direct ones. */
export function winogradGrowth(tile: 2 | 4, pass: "forward" | "weightGradient"): number {
  const errors = amplifications(tile, pass);
  return norm(errors) ** 2 / errors.length;
}

/** Of each of a tile's results, in one dimension. */
function amplifications(tile: 2 | 4, pass: "forward" | "weightGradient"): number[] {
  const { at, g, bt } = winogradTransforms(tile);
  const [out, other] = pass === "forward" ? [at, g] : [transposed(g), transposed(at)];
  const direct = norm(other[0].map(() => 1));
  return out.map((row) => norm(row.map((value, i) => value * norm(bt[i]) * norm(other[i]))) / direct);
}
