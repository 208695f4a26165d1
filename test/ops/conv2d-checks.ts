// What every kernel family of conv2d must pass, for one shape: shared by the conv2d tests.
import { expect } from "vitest";
import { conv2d } from "../../engine/ops/conv2d.ts";
import type { BatchNormPartials } from "../../engine/ops/batch-norm.ts";
import type { KernelFamily } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/conv2d.ts";
import { toGpu, withFamily } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { kindsOf, stored, type FloatType } from "../support/half.ts";
import { randomArr } from "../support/random.ts";
import { expectClose, type Comparison } from "../support/tolerance.ts";

type Pair = number | [number, number];

export interface Case {
  /** [N,H,W,C] */
  readonly x: readonly [number, number, number, number];
  /** [R,S,C/groups,K] */
  readonly weight: readonly [number, number, number, number];
  readonly options?: { stride?: Pair; padding?: Pair; dilation?: Pair; groups?: number };
}

/** Forward pass against the definition; dx and dweight against the exact gradients and against central differences of the definition. */
export async function checkConv2d(
  { x: xShape, weight: weightShape, options = {} }: Case,
  family: KernelFamily,
  dtype: FloatType = "f32",
  weightType: FloatType = "f32", // f16: weights that kernels of f16 operands do not round
): Promise<void> {
  const x = stored(randomArr(xShape, 1), dtype);
  const weight = stored(randomArr(weightShape, 2), weightType);
  const shapes = { x: xShape, weight: weightShape };
  const how = { shapes, options: { ...options, family, dtype } };
  const kind = kindsOf("sum", dtype);
  const [R, S, C, K] = weightShape;
  const want = reference.conv2d(x, weight, options);
  const dy = stored(randomArr(want.shape, 3), dtype);
  const got = await withFamily(family, async () => {
    const inputs = { x: toGpu(x, { dtype, requiresGrad: true }), weight: toGpu(weight, { requiresGrad: true }) };
    const y = conv2d(inputs.x, inputs.weight, options);
    y.backward(toGpu(dy, { dtype }));
    const [dx, dweight] = [inputs.x.grad!, inputs.weight.grad!];
    expect(dx.shape).toEqual(xShape);
    expect(dweight.shape).toEqual(weightShape);
    expect([y.dtype, dx.dtype, dweight.dtype]).toEqual([dtype, dtype, "f32"]);
    return { y: { data: await y.data(), shape: y.shape }, dx: await dx.data(), dweight: await dweight.data() };
  });
  const pixels = dy.data.length / K;
  const dxTerms = (R * S * K) / (options.groups ?? 1);
  expectClose(got.y, want, { op: "conv2d", ...how, kind, terms: R * S * C });
  const exact = reference.conv2dGradients(x, weight, dy, options);
  expectClose(got.dx, exact.dx, { op: "conv2d dx", ...how, kind, terms: dxTerms });
  expectClose(got.dweight, exact.dweight, { op: "conv2d dweight", ...how, terms: pixels });
  if (want.data.length * R * S * C > 50_000) return; // a difference costs two evaluations of the definition
  const f = ([a, b]: Arr[]): Arr => reference.conv2d(a, b, options);
  const dx = sampledGradient(f, [x, weight], 0, dy, { count: 12, seed: 4 });
  const dweight = sampledGradient(f, [x, weight], 1, dy, { count: 12, seed: 5 });
  expectClose(pick(got.dx, dx.indices), dx, {
    op: "conv2d dx",
    ...how,
    kind,
    terms: dxTerms,
    scale: largest(exact.dx),
  });
  expectClose(pick(got.dweight, dweight.indices), dweight, {
    op: "conv2d dweight",
    ...how,
    terms: pixels,
    scale: largest(exact.dweight),
  });
}

/** The partial sums that batch norm takes, against the definition. */
export async function checkStats(
  { x: xShape, weight: weightShape, options = {} }: Case,
  family: KernelFamily,
  dtype: FloatType = "f32",
  weightType: FloatType = "f32", // f16: weights that kernels of f16 operands do not round
): Promise<void> {
  // A mean far from 0 beside small deviations: sums of squares would cancel, deviations don't.
  const x = stored(randomArr(xShape, 6, { min: 0.5, max: 1.5 }), dtype);
  const weight = stored(randomArr(weightShape, 7, { min: 0, max: 1 }), weightType);
  const want = reference.conv2d(x, weight, options);
  const { y, partials } = await withFamily(family, () =>
    conv2d(toGpu(x, { dtype }), toGpu(weight), { ...options, stats: true }),
  );
  const how = {
    op: "conv2d with stats",
    shapes: { x: xShape, weight: weightShape },
    options: { ...options, family, dtype },
  };
  const terms = weightShape[0] * weightShape[1] * weightShape[2];
  expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, kind: kindsOf("sum", dtype), terms });
  expect(partials).not.toBeNull();
  await checkPartials(partials!, want, terms, how);
}

/** Each tile's means and squared deviations of y [..., K], every element of which is a sum of `terms` products. */
export async function checkPartials(
  partials: BatchNormPartials,
  y: Arr,
  terms: number,
  how: Comparison,
): Promise<void> {
  const K = y.shape[3];
  const { rowsPerTile } = partials;
  expect(partials.rows).toBe(y.data.length / K);
  expect(partials.means.shape).toEqual([Math.ceil(partials.rows / rowsPerTile), 2, K]);
  const data = await partials.means.data();
  const { means, deviations } = tileStatistics(y, K, rowsPerTile);
  const part = (which: 0 | 1): Float64Array =>
    Float64Array.from(means, (_, i) => data[(Math.floor(i / K) * 2 + which) * K + (i % K)]);
  const all = { ...how, terms: terms + rowsPerTile };
  expectClose(part(0), means, { ...all, op: "partial means" });
  // An error e in y shows as 2 e |y - mean| in each of the rows' squares: the scale is y's, not that of the small squares.
  const scale = 2 * largest(y) * Math.sqrt(largest({ data: deviations }) * rowsPerTile);
  expectClose(part(1), deviations, { ...all, op: "partial deviations", scale });
}

/** y [N,P,Q,K] with its pixels in the order of Winograd's tiles, which fit. */
export function inTiles({ shape, data }: Arr, tile: number): Arr {
  const [, P, Q, K] = shape;
  const pixels = data.length / K;
  const sorted = Array.from({ length: pixels }, (_, i) => {
    const [n, p, q] = [Math.floor(i / P / Q), Math.floor(i / Q) % P, i % Q];
    return { i, at: [n, Math.floor(p / tile), Math.floor(q / tile), p % tile, q % tile] };
  }).sort((a, b) => a.at.map((x, j) => x - b.at[j]).find((difference) => difference !== 0) ?? 0);
  return { shape, data: Float64Array.from(sorted.flatMap(({ i }) => [...data.subarray(i * K, (i + 1) * K)])) };
}

function tileStatistics(y: Arr, K: number, rowsPerTile: number): { means: Float64Array; deviations: Float64Array } {
  const rows = y.data.length / K;
  const tiles = Math.ceil(rows / rowsPerTile);
  const means = new Float64Array(tiles * K);
  const deviations = new Float64Array(tiles * K);
  for (let tile = 0; tile < tiles; tile++) {
    const [first, end] = [tile * rowsPerTile, Math.min((tile + 1) * rowsPerTile, rows)];
    for (let k = 0; k < K; k++) {
      const at = tile * K + k;
      for (let row = first; row < end; row++) means[at] += y.data[row * K + k] / (end - first);
      for (let row = first; row < end; row++) deviations[at] += (y.data[row * K + k] - means[at]) ** 2;
    }
  }
  return { means, deviations };
}

const largest = (v: { readonly data: ArrayLike<number> }): number =>
  Array.from(v.data).reduce((best, n) => Math.max(best, Math.abs(n)), 0);
