// Looking at a data set before training on it: its statistics, its classes, some of its images, and what augmentation makes of one.
import { scope } from "../../engine/index.ts";
import type { AugmentStep } from "../augment-grammar.ts";
import type { DecodedImage } from "../files.ts";
import { imageBytes, pixelStatistics, type ImageSet, type Rgb } from "./dataset.ts";
import type { DeviceDataset } from "./device-dataset.ts";

/** Means and standard deviations of each channel, of pixels in 0..1. */
export interface ChannelStatistics {
  /** Over all pixels of all images: what normalisation is for. */
  readonly pixelwise: { readonly mean: Rgb; readonly std: Rgb };
  /**
   * Means over the images of each image's own mean and standard deviation (divided by n - 1), as kuangliu's `get_mean_and_std` computes
   * them. The deviations are smaller than the pixelwise ones: they leave out how images differ.
   */
  readonly perImage: { readonly mean: Rgb; readonly std: Rgb };
}

export function channelStatistics(set: ImageSet): ChannelStatistics {
  const size = imageBytes(set);
  const pixels = size / 3;
  const mean = [0, 0, 0];
  const std = [0, 0, 0];
  for (let first = 0; first < set.count * size; first += size) {
    for (let c = 0; c < 3; c++) {
      let [sum, squares] = [0, 0];
      for (let i = first + c; i < first + size; i += 3) {
        sum += set.images[i];
        squares += set.images[i] ** 2;
      }
      mean[c] += sum / pixels / 255 / set.count;
      std[c] += Math.sqrt(Math.max(0, squares - sum ** 2 / pixels) / (pixels - 1)) / 255 / set.count;
    }
  }
  return { pixelwise: pixelStatistics(set), perImage: { mean: mean as unknown as Rgb, std: std as unknown as Rgb } };
}

/** Images of each class. */
export function classCounts(set: ImageSet, classes: readonly string[]): number[] {
  const counts = classes.map(() => 0);
  for (let i = 0; i < set.count; i++) counts[set.labels[i]]++;
  return counts;
}

/**
 * The first images of the set, one of each class in turn, as long as there are some: up to `n` indices.
 *
 * @param order of which images are the first; default the set's own
 */
export function labelledSamples(set: ImageSet, n: number, order: Iterable<number> = set.labels.keys()): number[] {
  const members = new Map<number, number[]>();
  for (const index of order) {
    const known = members.get(set.labels[index]);
    if (!known) members.set(set.labels[index], [index]);
    else if (known.length < n) known.push(index);
  }
  const classes = [...members.keys()].sort((a, b) => a - b);
  const rounds = Array.from({ length: n }, (_, round) => classes.map((label) => members.get(label)![round]));
  return rounds
    .flat()
    .filter((index) => index !== undefined)
    .slice(0, n);
}

/** An image of the set as it was read. */
export function rawImage({ images, width, height }: ImageSet, index: number): DecodedImage {
  const size = width * height * 3;
  return { width, height, data: images.subarray(index * size, (index + 1) * size) };
}

/** What the model is given for one image in one epoch, as colours. */
export interface AugmentedView {
  /** With the normalisation undone. */
  readonly picture: DecodedImage;
  /** As it is: -2.5 is black, 2.5 is white. */
  readonly normalised: DecodedImage;
}

/** The same image augmented as in the first `count` epochs of a training with that seed. */
export async function augmentedViews(
  dataset: DeviceDataset,
  index: number,
  options: { readonly augment: readonly AugmentStep[]; readonly count: number; readonly seed?: number },
): Promise<AugmentedView[]> {
  const { augment, count, seed = 0 } = options;
  const { mean, std } = dataset;
  const epochs = Array.from({ length: count }, (_, i) => i + 1);
  return Promise.all(
    epochs.map(async (epoch) => {
      const { images } = scope(() => ({ images: dataset.batch([index], { augment, seed, epoch }).images }));
      const [, height, width] = images.shape;
      const values = await images.data();
      images.dispose();
      const paint = (colour: (value: number, c: number) => number): DecodedImage => ({
        width,
        height,
        data: Uint8Array.from(values, (value, i) => Math.round(255 * Math.min(1, Math.max(0, colour(value, i % 3))))),
      });
      return {
        picture: paint((value, c) => value * std[c] + mean[c]),
        normalised: paint((value) => (value + 2.5) / 5),
      };
    }),
  );
}
