// Is what the heat marks what the model goes by? The confidence in a class before and after the image is multiplied by its heat.
import { fromData, noGrad, scope, type Tensor } from "../../engine/index.ts";
import type { Module } from "../../nn/index.ts";
import { inEvaluation } from "../modes.ts";
import type { HeatMaps } from "./pointing.ts";

/** Heat maps that say which class each is of. What `gradCam` returns. */
export interface ClassMaps extends HeatMaps {
  /** [N][K] */
  readonly classes: readonly (readonly number[])[];
}

export interface ConfidenceOptions {
  /** Images a batch; default 64. */
  readonly batchSize?: number | undefined;
}

/** For each map, [N * K], and the mean over all. Confidence is the softmax of the map's class. */
export interface ConfidenceChange {
  readonly before: Float32Array;
  readonly after: Float32Array;
  /** after - before. */
  readonly change: Float32Array;
  readonly mean: {
    readonly change: number;
    /** max(0, before - after): lower is better. */
    readonly drop: number;
    /** The share of maps with after > before: higher is better. */
    readonly increase: number;
  };
}

/**
 * pytorch-grad-cam's CamMultImageConfidenceChange, DropInConfidence and IncreaseInConfidence, with its softmax target.
 *
 * @param images normalised, [N, H, W, C], as the maps were made of
 */
export async function confidenceChange(
  model: Module,
  images: Tensor,
  maps: ClassMaps,
  options: ConfidenceOptions = {},
): Promise<ConfidenceChange> {
  const pixels = await readImages("confidenceChange", images, maps);
  const cases = casesOf(maps);
  const { channels } = pixels;
  const before = await confidences(model, pixels, cases, ({ image }) => imageOf(pixels, image), options);
  const masked = ({ image, map }: Case): Float32Array =>
    imageOf(pixels, image).map((value, i) => value * map[Math.floor(i / channels)]);
  const after = await confidences(model, pixels, cases, masked, options);
  const change = after.map((value, i) => value - before[i]);
  return {
    before,
    after,
    change,
    mean: {
      change: mean(change),
      drop: mean(change.map((value) => Math.max(0, -value))),
      increase: mean(change.map((value) => Number(value > 0))),
    },
  };
}

/** Images on the host: `data` [N, H, W, C]. */
export interface HostImages {
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** One map with its image and class. */
export interface Case {
  /** 0 .. N * K - 1. */
  readonly index: number;
  readonly image: number;
  readonly class: number;
  /** [H, W] */
  readonly map: Float32Array;
}

export function casesOf({ shape, data, classes }: ClassMaps): Case[] {
  const [, perImage, height, width] = shape;
  const size = height * width;
  return classes.flatMap((ofImage, image) =>
    ofImage.map((label, k) => {
      const index = image * perImage + k;
      return { index, image, class: label, map: data.subarray(index * size, (index + 1) * size) };
    }),
  );
}

export function imageOf({ data, height, width, channels }: HostImages, image: number): Float32Array {
  const size = height * width * channels;
  return data.subarray(image * size, (image + 1) * size);
}

/** The images on the host; throws where the maps are not of as many images of that size. */
export async function readImages(who: string, images: Tensor, { shape }: HeatMaps): Promise<HostImages> {
  const [count, height, width, channels] = images.shape;
  if (count !== shape[0] || height !== shape[2] || width !== shape[3]) {
    throw new Error(
      `${who}: maps [${shape.join(",")}] are not of images [${images.shape.join(",")}]; give those that they were made of`,
    );
  }
  return { data: Float32Array.from(await images.data()), height, width, channels };
}

/** The softmax of each case's class for the image that `make` gives it, in evaluation mode. */
export async function confidences(
  model: Module,
  { height, width, channels }: HostImages,
  cases: readonly Case[],
  make: (one: Case) => Float32Array,
  { batchSize = 64 }: ConfidenceOptions,
): Promise<Float32Array> {
  const size = height * width * channels;
  const result = new Float32Array(cases.length);
  for (let first = 0; first < cases.length; first += batchSize) {
    const batch = cases.slice(first, first + batchSize);
    const data = new Float32Array(batch.length * size);
    batch.forEach((one, i) => data.set(make(one), i * size));
    const logits = forward(model, data, [batch.length, height, width, channels]);
    const classes = logits.shape[1];
    const values = Array.from(await logits.data().finally(() => logits.dispose()));
    batch.forEach((one, i) => {
      if (one.class >= classes) throw new Error(`map ${first + i} is of class ${one.class}, the model has ${classes}`);
      result[first + i] = softmaxOf(values.slice(i * classes, (i + 1) * classes), one.class);
    });
  }
  return result;
}

function forward(model: Module, data: Float32Array, shape: readonly number[]): Tensor {
  return inEvaluation(model, () => noGrad(() => scope(() => model.forward(fromData(data, shape)))));
}

function softmaxOf(logits: readonly number[], label: number): number {
  const most = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return Math.exp(logits[label] - most) / sum;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}
