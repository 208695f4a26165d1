// The images and labels of one step: batches, each image augmented, pairs of them mixed where the trainer does that.
import type { Tensor } from "../engine/index.ts";
import type { AugmentStep } from "./augment-grammar.ts";
import type { Batch, DeviceDataset } from "./data/device-dataset.ts";
import type { Loss } from "./losses.ts";
import { drawMix, mixBatch, mixedLoss, type MixOptions } from "./mix.ts";
import type { StepAt } from "./trainer-options.ts";

export interface BatchOptions extends MixOptions {
  readonly seed: number;
  readonly batchSize: number;
  /** Batches a step. */
  readonly accumulate: number;
  readonly augment: readonly AugmentStep[];
}

/** One batch as the step that is captured receives it: part of a flat list of tensors. */
export interface StepBatch {
  /** [N, H, W, 3]. */
  readonly images: Tensor;
  /** u32 [N]; of mixed images the dominant ones. */
  readonly labels: Tensor;
  /** Of mixed images: u32 [N], the other labels, and two scalars, the share of `labels` and that of these. */
  readonly mixed: { readonly other: Tensor; readonly shares: readonly [Tensor, Tensor] } | null;
}

const mixes = ({ mixup, cutmix }: MixOptions): boolean => mixup !== undefined || cutmix !== undefined;

/** The tensors of a step over the images at `indices`, one batch after the other; `listed` tells them apart. */
export function stepTensors(train: DeviceDataset, indices: Uint32Array, at: StepAt, options: BatchOptions): Tensor[] {
  const { seed, augment, accumulate, batchSize } = options;
  const { epoch } = at;
  const batchOf = (some: Uint32Array): Batch => train.batch(some, { augment, seed, epoch });
  const all: Tensor[] = [];
  for (let first = 0; first < indices.length; first += batchSize) {
    const some = indices.subarray(first, first + batchSize);
    const batch = batchOf(some);
    const [count, height, width] = batch.images.shape;
    const step = at.step * accumulate + first / batchSize;
    const mix = drawMix(options, { count, height, width }, { seed, epoch, step });
    if (!mix) all.push(batch.images, batch.labels);
    else {
      const { images, labels, other, shares } = mixBatch(batch, batchOf(mix.partner.map((i) => some[i])), mix);
      all.push(images, labels, other, ...shares);
    }
  }
  return all;
}

/** The batches in a list that `stepTensors` made. */
export function listed(tensors: readonly Tensor[], options: MixOptions): StepBatch[] {
  const size = mixes(options) ? 5 : 2;
  return Array.from({ length: tensors.length / size }, (_, i) => {
    const [images, labels, other, share, otherShare] = tensors.slice(i * size, (i + 1) * size);
    return { images, labels, mixed: mixes(options) ? { other, shares: [share, otherShare] } : null };
  });
}

/** The mean loss of a batch's logits, a scalar; of mixed images by both labels. */
export function batchLoss(loss: Loss, logits: Tensor, { labels, mixed }: StepBatch): Tensor {
  return mixed ? mixedLoss(loss, logits, { labels, ...mixed }) : loss(logits, labels);
}
