import { permutation, Purpose } from "../../engine/random.ts";

/** Images of one size with their labels, in memory. */
export interface ImageSet {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: 3;
  /** `[N, H, W, 3]`, 0..255. */
  readonly images: Uint8Array;
  /** `[N]`, indices into the data set's classes. */
  readonly labels: Uint8Array | Uint16Array;
  /** `[N, 4]`: x0, y0, x1, y1 of the object in pixels, the upper ends excluded. */
  readonly boxes?: Int16Array;
  /** `[N]`: the file each image came from, relative to the data folder. */
  readonly paths?: readonly string[];
  /** Files left out because they could not be decoded. */
  readonly skipped: number;
}

/** One number for each of red, green and blue. */
export type Rgb = readonly [number, number, number];

/** A data set before it goes to the device. `mean` and `std` are those of the training images in units of 0..1. */
export interface RawDataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: ImageSet;
  readonly test: ImageSet;
  /** Held out of the training images, or a folder of its own; where it exists, `best` is chosen by it. */
  readonly validation?: ImageSet;
  /** The share of an undivided folder that trains; absent where test images lay apart. */
  readonly split?: number;
  readonly mean: Rgb;
  readonly std: Rgb;
}

/** Progress of slow work: bytes downloaded or images decoded. `total` is 0 while unknown. */
export interface LoadProgress {
  readonly phase: "download" | "decode";
  readonly done: number;
  readonly total: number;
}

/** An option of loading is out of its range, or the data has no use for it: the images are not at fault. */
export class LoadOptionError extends RangeError {
  override name = "LoadOptionError";
}

/** Bytes of one image. */
export function imageBytes(set: ImageSet): number {
  return set.height * set.width * set.channels;
}

/** The first `n` images in the set's own order, sharing its memory. */
export function limit(set: ImageSet, n: number): ImageSet {
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`limit: ${n} is not a whole number of at least 1`);
  if (n >= set.count) return set;
  return {
    ...set,
    count: n,
    images: set.images.subarray(0, n * imageBytes(set)),
    labels: set.labels.subarray(0, n),
    ...(set.boxes && { boxes: set.boxes.subarray(0, n * 4) }),
    ...(set.paths && { paths: set.paths.slice(0, n) }),
  };
}

/** The images at `indices`, copied, in that order. */
export function subset(set: ImageSet, indices: Uint32Array): ImageSet {
  const size = imageBytes(set);
  const images = new Uint8Array(indices.length * size);
  const labels = set.labels instanceof Uint8Array ? new Uint8Array(indices.length) : new Uint16Array(indices.length);
  const boxes = set.boxes && new Int16Array(indices.length * 4);
  indices.forEach((from, to) => {
    images.set(set.images.subarray(from * size, (from + 1) * size), to * size);
    labels[to] = set.labels[from]!;
    boxes?.set(set.boxes!.subarray(from * 4, from * 4 + 4), to * 4);
  });
  return {
    ...set,
    count: indices.length,
    images,
    labels,
    ...(boxes && { boxes }),
    ...(set.paths && { paths: Array.from(indices, (i) => set.paths![i]) }),
  };
}

/**
 * How many of `n` go to the first part: `fraction` of them, rounded, but with two or more at least one on either side.
 */
function share(n: number, fraction: number): number {
  if (n < 2) return n;
  return Math.min(n - 1, Math.max(1, Math.round(n * fraction)));
}

/**
 * Splits the indices 0 .. N - 1 class by class: `fraction` (0..1, both excluded) of every class into `first`, the rest into
 * `second`, drawn by `seed`, each part in ascending order. A class of a single image stays in `first`.
 */
export function splitIndices(
  labels: ArrayLike<number>,
  fraction: number,
  seed: number,
): { first: Uint32Array; second: Uint32Array } {
  if (!(fraction > 0 && fraction < 1)) throw new RangeError(`split: fraction ${fraction} is not between 0 and 1`);
  const members = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const known = members.get(labels[i]);
    if (known) known.push(i);
    else members.set(labels[i], [i]);
  }
  const inFirst = new Uint8Array(labels.length);
  for (const [label, indices] of members) {
    const order = permutation(indices.length, seed, label, Purpose.split);
    for (const position of order.subarray(0, share(indices.length, fraction))) inFirst[indices[position]] = 1;
  }
  const all = Uint32Array.from(labels, (_, i) => i);
  return { first: all.filter((i) => inFirst[i] === 1), second: all.filter((i) => inFirst[i] === 0) };
}

/** Splits a set class by class; see `splitIndices`. Files that were skipped are counted in the first part. */
export function split(set: ImageSet, fraction: number, seed: number): { first: ImageSet; second: ImageSet } {
  const { first, second } = splitIndices(set.labels, fraction, seed);
  return { first: subset(set, first), second: { ...subset(set, second), skipped: 0 } };
}

/** Mean and standard deviation (over all pixels, divided by N) of each channel in units of 0..1, from exact integer sums. */
export function pixelStatistics(set: ImageSet): { mean: Rgb; std: Rgb } {
  // A histogram holds every sum exactly; sums of squares of a large set would leave the 53 bits of a double.
  const histogram = [new Float64Array(256), new Float64Array(256), new Float64Array(256)] as const;
  const [red, green, blue] = histogram;
  const { images } = set;
  for (let i = 0; i < images.length; i += 3) {
    red[images[i]] += 1;
    green[images[i + 1]] += 1;
    blue[images[i + 2]] += 1;
  }
  const pixels = set.count * set.height * set.width;
  const means = histogram.map((counts) => counts.reduce((sum, count, value) => sum + count * value, 0) / pixels);
  const stds = histogram.map((counts, c) =>
    Math.sqrt(counts.reduce((sum, count, value) => sum + count * (value - means[c]) ** 2, 0) / pixels),
  );
  return { mean: means.map((m) => m / 255) as unknown as Rgb, std: stds.map((s) => s / 255) as unknown as Rgb };
}
