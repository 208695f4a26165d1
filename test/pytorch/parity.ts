// What the comparisons with PyTorch share: models that start from the formula, and how far from PyTorch's numbers ours may lie.
import type { Tensor } from "../../engine/index.ts";
import { toDisk } from "../../nn/layout.ts";
import { Counter, createModel, loadStateDict, type OwnedTensor, type ResNet, type SafeTensor } from "../../nn/index.ts";
import { toGpu } from "../support/gpu.ts";
import { expectClose } from "../support/tolerance.ts";
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

/** A model with the formula's weights, loaded as from a file of PyTorch's. */
export function modelFromFormula(name: string, start: Start): ResNet {
  const model = createModel(name);
  const entries = model.namedEntries().map(([name, entry]): [string, SafeTensor] => {
    if (entry instanceof Counter) return [name, { dtype: "I64", shape: [], data: BigInt64Array.of(0n) }];
    const shape = entry.diskShape;
    return [name, { dtype: "F32", shape, data: Float32Array.from(stateValues(name, shape, start)) }];
  });
  loadStateDict(model, new Map(entries));
  return model;
}

/** The images of a step on the device. */
export function inputOf(batch: Batch, step: number): Tensor {
  const [n, c, h, w] = batch.shape;
  return toGpu({ shape: [n, h, w, c], data: imagesChannelsLast(batch, step) });
}

/** The digest of `values` (the elements of `entry`, or of its gradient) in PyTorch's order. */
export function digest(name: string, values: Float32Array, entry: OwnedTensor): Digest {
  const flat = toDisk(values, entry);
  let [sum, sumAbs, squares] = [0, 0, 0];
  for (const value of flat) {
    sum += value;
    sumAbs += Math.abs(value);
    squares += value * value;
  }
  const samples = sampleIndices(name, flat.length).map((at) => flat[at]);
  return { sum, sumAbs, l2: Math.sqrt(squares), samples };
}

