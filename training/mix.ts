// Mixup and CutMix: two images of the batch become one, and so do their labels.
import { fromData, scope, type Tensor } from "../engine/index.ts";
import { permutation, Purpose, Random } from "../engine/random.ts";
import type { Batch } from "./data/device-dataset.ts";
import type { Loss } from "./losses.ts";

/** The largest alpha. Its shares are a half to within 0.003; drawing from far larger ones overflows. */
export const MAX_ALPHA = 1e6;

/** The shapes of the Beta(alpha, alpha) distributions that shares are drawn from; above 0 and at most `MAX_ALPHA`. */
export interface MixOptions {
  readonly mixup?: number | undefined;
  readonly cutmix?: number | undefined;
}

/** How a batch is mixed: image i with image `partner[i]` of the same batch. */
export interface Mix {
  readonly kind: "mixup" | "cutmix";
  /** The share of the first image and of its label, 0..1: one number for the batch. */
  readonly share: number;
  /** cutmix: what comes from the partner, `[x0, y0, x1, y1)` in pixels. */
  readonly box: readonly [number, number, number, number] | null;
  readonly partner: Uint32Array;
}

/**
 * Draws the mix of a step. With both options one of them is drawn, with equal chances, as timm's Mixup does.
 *
 * Mixup: Zhang et al. 2017 (arXiv 1710.09412), the share from Beta(alpha, alpha). CutMix: Yun et al. 2019 (arXiv 1905.04899), a box of
 * (1 - share) of the area with its centre anywhere, cut off at the edges; the share is then that of the pixels.
 */
export function drawMix(
  { mixup, cutmix }: MixOptions,
  size: { readonly count: number; readonly height: number; readonly width: number },
  at: { readonly seed: number; readonly epoch: number; readonly step: number },
): Mix | null {
  if (mixup === undefined && cutmix === undefined) return null;
  const random = new Random(at.seed, at.epoch, at.step, Purpose.mix);
  const pick = random.uniform();
  const kind = mixup === undefined || (cutmix !== undefined && pick < 0.5) ? "cutmix" : "mixup";
  const share = beta((kind === "mixup" ? mixup : cutmix)!, random);
  const partner = permutation(size.count, random.u32(), at.step, Purpose.mix);
  if (kind === "mixup") return { kind, share, box: null, partner };
  const { height, width } = size;
  const side = Math.sqrt(1 - share);
  const [x0, x1] = cut(width, side, random);
  const [y0, y1] = cut(height, side, random);
  return { kind, share: 1 - ((x1 - x0) * (y1 - y0)) / (width * height), box: [x0, y0, x1, y1], partner };
}

/** An interval of `side` of the extent around a centre anywhere, cut off at the ends. */
function cut(extent: number, side: number, random: Random): [number, number] {
  const half = Math.floor((extent * side) / 2);
  const centre = random.below(extent);
  return [Math.max(0, centre - half), Math.min(extent, centre + half)];
}

/** The mixed images, [N, H, W, 3]. `other` are the partners' images. */
function mixImages(images: Tensor, other: Tensor, { share, box }: Mix): Tensor {
  const [, height, width] = images.shape;
  return scope(() => {
    const weight = box ? fromData(keepMask(height, width, box), [1, height, width, 1]) : fromData([share], [1]);
    return other.add(images.sub(other).mul(weight));
  });
}

/** 1 where the first image stays. */
function keepMask(height: number, width: number, [x0, y0, x1, y1]: NonNullable<Mix["box"]>): Float32Array {
  return Float32Array.from({ length: height * width }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x >= x0 && x < x1 && y >= y0 && y < y1 ? 0 : 1;
  });
}

/** A batch of mixed images. Its loss counts the labels of both by their shares: `mixedLoss`. */
export interface MixedBatch extends Batch {
  /** u32 [N]: the dominant labels are `labels`, these are the partners'. */
  readonly other: Tensor;
  /** Scalars: the share of `labels`, and of `other`. */
  readonly shares: readonly [Tensor, Tensor];
}

export function mixBatch(batch: Batch, partner: Batch, mix: Mix): MixedBatch {
  const { share } = mix;
  const [labels, other] = share >= 0.5 ? [batch.labels, partner.labels] : [partner.labels, batch.labels];
  const scalar = (value: number): Tensor => fromData([value], []);
  const shares = [scalar(Math.max(share, 1 - share)), scalar(Math.min(share, 1 - share))] as const;
  return { images: mixImages(batch.images, partner.images, mix), labels, other, shares };
}

/** The loss of logits by both labels of a mixed batch. */
export function mixedLoss(loss: Loss, logits: Tensor, { labels, other, shares }: Omit<MixedBatch, "images">): Tensor {
  return loss(logits, labels).mul(shares[0]).add(loss(logits, other).mul(shares[1]));
}

/** A number from Beta(alpha, alpha). */
function beta(alpha: number, random: Random): number {
  const [a, b] = [gamma(alpha, random), gamma(alpha, random)];
  return a + b > 0 ? a / (a + b) : Number(random.uniform() < 0.5);
}

/** A number from Gamma(shape, 1): Marsaglia and Tsang 2000, "A Simple Method for Generating Gamma Variables". */
function gamma(shape: number, random: Random): number {
  if (shape < 1) return gamma(shape + 1, random) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
