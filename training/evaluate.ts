// Measuring a model on a whole data set.
import {
  accumulateMetrics,
  argmax,
  capture,
  copyInto,
  currentDevice,
  keep,
  noGrad,
  scope,
  zeros,
  type Tensor,
} from "../engine/index.ts";
import type { Module } from "../nn/index.ts";
import type { DeviceDataset } from "./data/device-dataset.ts";
import { InFlight } from "./in-flight.ts";
import { inEvaluation } from "./modes.ts";
import { forwardViews, type Tta } from "./tta.ts";

export interface ClassAccuracy {
  readonly class: string;
  /** Images of the class, and those of them that were recognised. */
  readonly count: number;
  readonly correct: number;
  /** correct / count; 0 for a class without images. */
  readonly accuracy: number;
}

export interface Evaluation {
  readonly count: number;
  /** Mean cross-entropy, without label smoothing. */
  readonly loss: number;
  /** 0..1. */
  readonly accuracy: number;
  readonly perClass: readonly ClassAccuracy[];
  /** `confusion[truth][prediction]`: how many images. */
  readonly confusion: readonly (readonly number[])[];
  /** The predicted class of each image, in data-set order. */
  readonly predictions: Uint32Array;
  /** [N, classes], where asked for. */
  readonly logits?: Float32Array;
}

export interface EvaluateOptions {
  /** Default 128. */
  readonly batchSize?: number | undefined;
  /** Return every logit too. */
  readonly logits?: boolean | undefined;
  /** Views of each image, averaged; default "none". */
  readonly tta?: Tta | undefined;
}

/**
 * Loss, accuracy and confusion of `model` over all of `dataset`, in evaluation mode. The model's mode is put back afterwards. Figures
 * stay on the GPU and are read once at the end.
 */
export async function evaluate(
  model: Module,
  dataset: DeviceDataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const batches = evaluateBatches(model, dataset, options);
  for (;;) {
    const { done, value } = await batches.next();
    if (done) return value;
  }
}

/** `evaluate`, batch by batch: yields how many images are done. Returning early is harmless. */
export async function* evaluateBatches(
  model: Module,
  dataset: DeviceDataset,
  { batchSize = 128, logits: wantLogits = false, tta = "none" }: EvaluateOptions = {},
): AsyncGenerator<number, Evaluation, undefined> {
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new Error(`evaluate: batchSize ${batchSize} must be 1 or more`);
  const size = Math.min(batchSize, dataset.count);
  const log = new EvaluationLog(Math.ceil(dataset.count / size), size);
  const inFlight = new InFlight();
  const logits: Promise<Float32Array | Uint32Array>[] = [];
  const reads = new InFlight();
  try {
    for (let first = 0; first < dataset.count; first += size) {
      const y = evaluateBatch(model, dataset, { first, size, tta }, log);
      if (wantLogits) {
        logits.push(y.data());
        reads.push(logits.at(-1)!);
      }
      y.dispose();
      inFlight.push(currentDevice().idle());
      await inFlight.waitFor(1);
      yield Math.min(first + size, dataset.count);
    }
    const read = await log.read(dataset.count);
    const result = summarise(dataset, read);
    return wantLogits ? { ...result, logits: joinLogits(await Promise.all(logits), dataset.count, size) } : result;
  } finally {
    for (const work of [inFlight, reads]) await work.settled();
    log.dispose();
  }
}

/** Compiles the kernels of `evaluateBatches`, in parallel: else each is compiled where it is first used. Changes nothing. */
export async function compileEvaluation(
  model: Module,
  dataset: DeviceDataset,
  { batchSize = 128, tta = "none" }: EvaluateOptions = {},
): Promise<void> {
  const indices = Uint32Array.from({ length: Math.min(batchSize, dataset.count) }, (_, i) => i);
  const { images, labels } = dataset.batch(indices);
  const forward = capture((images: Tensor) => forwardViews(model, images, tta));
  try {
    await inEvaluation(model, () => noGrad(() => forward.compile(images)));
  } finally {
    forward.dispose();
    for (const tensor of [images, labels]) tensor.dispose();
  }
}

/** Runs one batch and logs it; returns its logits. The last batch is filled up with copies of the last image, which don't count. */
function evaluateBatch(
  model: Module,
  dataset: DeviceDataset,
  { first, size, tta }: { readonly first: number; readonly size: number; readonly tta: Tta },
  log: EvaluationLog,
): Tensor {
  const valid = Math.min(size, dataset.count - first);
  const indices = Uint32Array.from({ length: size }, (_, i) => first + Math.min(i, valid - 1));
  // Other code may run between batches, so the mode is set for each.
  const run = (): Tensor => {
    const { images, labels } = dataset.batch(indices);
    const logits = forwardViews(model, images, tta);
    checkClasses("evaluate", logits.shape[1], dataset);
    log.add(logits, labels, valid);
    return logits;
  };
  return inEvaluation(model, () => noGrad(() => scope(run)));
}

/** Throws where the model tells fewer classes apart than the data has. */
export function checkClasses(who: string, outputs: number, { classes }: Pick<DeviceDataset, "classes">): void {
  if (outputs < classes.length) {
    throw new Error(
      `${who}: the model has ${outputs} classes, the data has ${classes.length}; make the model with { classes: ${classes.length} }`,
    );
  }
}

const SLOT = 64;
const roundUp = (n: number): number => Math.ceil(n / SLOT) * SLOT;

/** Losses and predictions of all batches, on the GPU. */
class EvaluationLog implements Disposable {
  readonly #batchSize: number;
  readonly #figures: Tensor;
  readonly #predictions: Tensor;
  #batches = 0;

  constructor(batches: number, batchSize: number) {
    this.#batchSize = batchSize;
    this.#figures = keep(zeros([batches * SLOT]));
    this.#predictions = keep(zeros([batches * roundUp(batchSize)], "u32"));
  }

  add(logits: Tensor, labels: Tensor, valid: number): void {
    const batch = this.#batches++;
    scope(() => {
      accumulateMetrics(logits, labels, this.#figures.range(batch * SLOT, [4]), { valid });
      const predictions = this.#predictions.range(batch * roundUp(this.#batchSize), [this.#batchSize]);
      copyInto(predictions, argmax(logits, 1));
    });
  }

  async read(count: number): Promise<{ loss: number; predictions: Uint32Array }> {
    const [figures, padded] = await Promise.all([this.#figures.data(), this.#predictions.data()]);
    let loss = 0;
    const predictions = new Uint32Array(count);
    for (let batch = 0; batch < this.#batches; batch++) {
      loss += figures[batch * SLOT];
      const first = batch * this.#batchSize;
      const from = batch * roundUp(this.#batchSize);
      predictions.set(padded.subarray(from, from + Math.min(this.#batchSize, count - first)), first);
    }
    return { loss: loss / count, predictions };
  }

  dispose(): void {
    this.#figures.dispose();
    this.#predictions.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function summarise(dataset: DeviceDataset, read: { loss: number; predictions: Uint32Array }): Evaluation {
  const { classes, labels, count } = dataset;
  const { loss, predictions } = read;
  // A model may have more outputs than the data has classes: their columns count too.
  const columns = predictions.reduce((most, prediction) => Math.max(most, prediction + 1), classes.length);
  const confusion = classes.map(() => new Array<number>(columns).fill(0));
  predictions.forEach((prediction, i) => confusion[labels[i]][prediction]++);
  const perClass = classes.map((name, c) => {
    const images = confusion[c].reduce((sum, n) => sum + n, 0);
    const correct = confusion[c][c];
    return { class: name, count: images, correct, accuracy: images === 0 ? 0 : correct / images };
  });
  const accuracy = perClass.reduce((sum, { correct }) => sum + correct, 0) / count;
  return { count, loss, accuracy, perClass, confusion, predictions };
}

/** Without the filling of the last batch. */
function joinLogits(batches: readonly (Float32Array | Uint32Array)[], count: number, batchSize: number): Float32Array {
  const classes = batches[0].length / batchSize;
  const joined = new Float32Array(count * classes);
  batches.forEach((batch, i) => {
    const first = i * batchSize;
    joined.set(batch.subarray(0, Math.min(batchSize, count - first) * classes), first * classes);
  });
  return joined;
}
