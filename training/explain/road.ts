// ROAD, "remove and debias": how much confidence goes with the pixels that the heat calls important, and with those that it does not.
import { Purpose, Random } from "../../engine/random.ts";
import type { Tensor } from "../../engine/index.ts";
import type { Module } from "../../nn/index.ts";
import {
  casesOf,
  confidences,
  imageOf,
  mean,
  readImages,
  type Case,
  type ClassMaps,
  type ConfidenceOptions,
} from "./confidence.ts";
import { impute } from "./impute.ts";

export interface RoadOptions extends ConfidenceOptions {
  /** Of the heat, 0..100. Default 10, 20 .. 90. */
  readonly percentiles?: readonly number[] | undefined;
  /** Standard deviation of what is added to filled-in values, in units of normalised images. Default 0.01. */
  readonly noise?: number | undefined;
  /** Of the noise. Default 0. */
  readonly seed?: number | undefined;
}

/** Changes of confidence (softmax of the map's class), 0..1 and negative where confidence was lost. */
export interface Road {
  /** For each map, [N * K]: mean change over the percentiles with the most relevant pixels removed first (lower is better) ... */
  readonly morf: Float32Array;
  /** ... and the least relevant (higher is better) ... */
  readonly lerf: Float32Array;
  /** ... and (lerf - morf) / 2: higher is better, about 0 for a map that says nothing. */
  readonly combined: Float32Array;
  readonly mean: { readonly morf: number; readonly lerf: number; readonly combined: number };
  /** Means over the maps at each percentile. */
  readonly curve: readonly { readonly percentile: number; readonly morf: number; readonly lerf: number }[];
}

/**
 * pytorch-grad-cam's ROADMostRelevantFirstAverage, ROADLeastRelevantFirstAverage and ROADCombined, with its softmax target. At percentile
 * p the pixels below the p-th percentile of the heat (least relevant first: of 1 - heat) stay, and the others are filled in; heat ties
 * are removed together.
 *
 * @param images normalised, [N, H, W, C], as the maps were made of
 */
export async function road(model: Module, images: Tensor, maps: ClassMaps, options: RoadOptions = {}): Promise<Road> {
  const { percentiles = [10, 20, 30, 40, 50, 60, 70, 80, 90], noise = 0.01, seed = 0 } = options;
  const pixels = await readImages("road", images, maps);
  const cases = casesOf(maps);
  const before = await confidences(model, pixels, cases, ({ image }) => imageOf(pixels, image), options);
  /** The change of each case's confidence, most or least relevant first. */
  const changes = async (percentile: number, round: number, leastFirst: boolean): Promise<Float32Array> => {
    const removed = ({ index, image, map }: Case): Float32Array => {
      const random = new Random(seed, round, index, Purpose.impute);
      const kept = keptPixels(leastFirst ? map.map((heat) => 1 - heat) : map, percentile);
      return impute(imageOf(pixels, image), kept, pixels, () => noise * random.normal());
    };
    const after = await confidences(model, pixels, cases, removed, options);
    return after.map((value, i) => value - before[i]);
  };
  const [morf, lerf]: [Float32Array[], Float32Array[]] = [[], []];
  for (const [i, percentile] of percentiles.entries()) {
    morf.push(await changes(percentile, 2 * i, false));
    lerf.push(await changes(percentile, 2 * i + 1, true));
  }
  return summarise(percentiles, morf, lerf);
}

function summarise(percentiles: readonly number[], morfs: Float32Array[], lerfs: Float32Array[]): Road {
  const average = (all: readonly Float32Array[]): Float32Array => all[0].map((_, i) => mean(all.map((one) => one[i])));
  const [morf, lerf] = [average(morfs), average(lerfs)];
  const combined = lerf.map((value, i) => (value - morf[i]) / 2);
  return {
    morf,
    lerf,
    combined,
    mean: { morf: mean(morf), lerf: mean(lerf), combined: mean(combined) },
    curve: percentiles.map((percentile, i) => ({ percentile, morf: mean(morfs[i]), lerf: mean(lerfs[i]) })),
  };
}

/** Which pixels lie below the percentile. */
export function keptPixels(map: Float32Array, percent: number): boolean[] {
  const threshold = percentile(map, percent);
  return Array.from(map, (heat) => heat < threshold);
}

/** numpy's percentile: linear between the two nearest of the sorted values. */
export function percentile(values: Float32Array, percent: number): number {
  if (!(percent >= 0 && percent <= 100)) throw new Error(`percentile: ${percent} is not in 0..100`);
  const sorted = values.toSorted();
  const place = (percent / 100) * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}
