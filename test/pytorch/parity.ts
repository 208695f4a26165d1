// What the comparisons with PyTorch share: models that start from the formula, and how far from PyTorch's numbers ours may lie.
import type { Tensor } from "../../engine/index.ts";
import { Counter, createModel, loadStateDict, type ResNet, type SafeTensor } from "../../nn/index.ts";
import { toGpu } from "../support/gpu.ts";
import { expectClose, tolerance } from "../support/tolerance.ts";
import { imagesChannelsLast, sampleIndices, stateValues, type Batch } from "./formula.ts";

export type Start = Parameters<typeof stateValues>[2];

/** What PyTorch computed in each precision, from the same float32 numbers. */
export interface Both<T> {
  readonly f32: T;
  readonly f64: T;
}

/** What is stored of a tensor. */
export interface Digest {
  readonly sum: number;
  readonly sumAbs: number;
  readonly l2: number;
  /** The elements at `sampleIndices`. */
  readonly samples: readonly number[];
}

export type Digests = Readonly<Record<string, Digest>>;

/** Filling 11 million weights takes seconds, and these are the same for each start. */
const largeWeights = new Map<string, Float32Array>();

/** The formula's value of a stored tensor, in PyTorch's order. Large ones are kept until `forgetWeights`. */
export function startValues(name: string, shape: readonly number[], start: Start): Float32Array {
  if (shape.length < 2) return stateValues(name, shape, start);
  const key = `${name} ${shape.join()}`;
  const values = largeWeights.get(key) ?? stateValues(name, shape, start);
  largeWeights.set(key, values);
  return values;
}

export const forgetWeights = (): void => largeWeights.clear();

/** A model with the formula's weights, loaded as from a file of PyTorch's. */
export function modelFromFormula(name: string, start: Start): ResNet {
  const model = createModel(name) as ResNet;
  const entries = model.namedEntries().map(([name, entry]): [string, SafeTensor] => {
    if (entry instanceof Counter) return [name, { dtype: "I64", shape: [], data: BigInt64Array.of(0n) }];
    const shape = entry.diskShape;
    return [name, { dtype: "F32", shape, data: startValues(name, shape, start) as Float32Array<ArrayBuffer> }];
  });
  loadStateDict(model, new Map(entries));
  return model;
}

/** The images of a step on the device. */
export function inputOf(batch: Batch, step: number): Tensor {
  const [n, c, h, w] = batch.shape;
  return toGpu({ shape: [n, h, w, c], data: imagesChannelsLast(batch, step) });
}

/** The digest of a tensor's elements in PyTorch's order. */
export function digest(name: string, values: Float32Array): Digest {
  let [sum, sumAbs, squares] = [0, 0, 0];
  for (const value of values) {
    sum += value;
    sumAbs += Math.abs(value);
    squares += value * value;
  }
  const samples = sampleIndices(name, values.length).map((at) => values[at]);
  return { sum, sumAbs, l2: Math.sqrt(squares), samples };
}

/** Reads tensors back and frees them. */
export async function valuesOf<Name extends string>(
  tensors: Record<Name, Tensor>,
): Promise<Record<Name, Float32Array>> {
  const names = Object.keys(tensors) as Name[];
  const read = await Promise.all(names.map((name) => tensors[name].data()));
  names.forEach((name) => tensors[name].dispose());
  return Object.fromEntries(names.map((name, i) => [name, read[i]])) as Record<Name, Float32Array>;
}

/** The same part of what PyTorch computed in each precision. */
export const pick = <T, R>(both: Both<T>, path: (of: T) => R): Both<R> => ({
  f32: path(both.f32),
  f64: path(both.f64),
});

/**
 * How many times PyTorch's own float32 error (the largest distance of its float32 from its float64 over the same numbers) ours
 * may be: both are draws of rounding errors, of sums that are taken in different orders.
 */
const SPREADS = 4;

export interface Parity {
  /** The report's row: of all that is compared under one topic, the worst is shown. */
  topic: string;
  what: string;
  got: ArrayLike<number>;
  want: Both<readonly number[]>;
  /** Numbers accumulated into each of them. */
  terms: number;
  /** Magnitude that the roundings of the computation have. Default the largest |want|. */
  scale?: number;
  /** How often a value of which magnitude was rounded to float32 since it was exact: weights, at each step. */
  stored?: { times: number; scale: number };
  /**
   * Relative float32 error of PyTorch's over several ways of rounding and all tensors of the same step: one draw is a poor estimate of
   * what rounding does. Default: that of these numbers alone.
   */
  pooled?: number | undefined;
  /** How much larger the roundings of our convolutions are than those of direct sums, which PyTorch's are: Winograd's growth. Default 1. */
  growth?: number | undefined;
}

/** Throws unless `got` is as near to PyTorch's float64 numbers as float32 allows. */
export function expectParity({ topic, what, got, want, terms, scale, stored, pooled = 0, growth = 1 }: Parity): void {
  const magnitude = scale ?? largest(want.f64);
  const spread = Math.max(furthest(want.f32, want.f64), pooled * magnitude);
  report.note(topic, what, furthest(got, want.f64) / magnitude, spread / magnitude);
  const storing = stored ? stored.times * tolerance({ kind: "add", scale: stored.scale }) : 0;
  const uncertainty = SPREADS * growth * spread + storing;
  expectClose(
    got,
    { data: want.f64, shape: [want.f64.length], uncertainty },
    { op: `${topic}, ${what}`, shapes: {}, terms, scale: magnitude },
  );
}

export const largest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const furthest = (a: ArrayLike<number>, b: readonly number[]): number => largest(b.map((value, i) => a[i] - value));

interface Row {
  ours: number;
  at: string;
  torch: number;
}

const rows = new Map<string, Row>();

/** The worst relative differences by topic. */
export const report = {
  note(topic: string, what: string, ours: number, torch: number): void {
    const row = rows.get(topic) ?? { ours: -1, at: "", torch: 0 };
    const worse = ours > row.ours ? { ours, at: what } : { ours: row.ours, at: row.at };
    rows.set(topic, { ...worse, torch: Math.max(row.torch, torch) });
  },

  /** Prints them where KILN_PARITY_REPORT is set. */
  print(): void {
    for (const [topic, { ours, torch, at }] of process.env["KILN_PARITY_REPORT"] ? rows : []) {
      const figures = `Kiln ${ours.toExponential(1)}  PyTorch's float32 ${torch.toExponential(1)}`;
      console.info(`${topic.padEnd(40)} ${figures}  (${at})`);
    }
    rows.clear();
  },
};
