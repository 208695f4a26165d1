/**
 * Counter-based random numbers: every value is a pure function of (seed, epoch, index, purpose, draw), so that a shuffle or an
 * augmentation can be replayed from anywhere, in any order, on the CPU and in WGSL alike.
 *
 * Source: pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020. All arithmetic is u32 and wraps.
 */

/** What a stream of random numbers is for. Part of the key: two purposes never share a value. Never renumber: runs are replayed by these. */
export const Purpose = {
  shuffle: 1,
  augment: 2,
  dropout: 3,
  init: 4,
  shapes: 5,
  split: 6,
  mix: 7,
  impute: 8,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

/**
 * Hashes four u32 to four u32, into `out` at `offset` (no allocation).
 * `v = v * 1664525 + 1013904223`, then a round of multiply-adds across the lanes, `v ^= v >> 16`, and the round again.
 */
export function pcg4dInto(out: Uint32Array, offset: number, a: number, b: number, c: number, d: number): void {
  let x = (Math.imul(a, 1664525) + 1013904223) | 0;
  let y = (Math.imul(b, 1664525) + 1013904223) | 0;
  let z = (Math.imul(c, 1664525) + 1013904223) | 0;
  let w = (Math.imul(d, 1664525) + 1013904223) | 0;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  x ^= x >>> 16;
  y ^= y >>> 16;
  z ^= z >>> 16;
  w ^= w >>> 16;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  out[offset] = x;
  out[offset + 1] = y;
  out[offset + 2] = z;
  out[offset + 3] = w;
}

/** Hashes four u32 to four u32 (numbers in 0 .. 2^32 - 1). */
export function pcg4d(a: number, b: number, c: number, d: number): [number, number, number, number] {
  const out = new Uint32Array(4);
  pcg4dInto(out, 0, a, b, c, d);
  return [out[0], out[1], out[2], out[3]];
}

/** A u32 as a number in [0, 1): its upper 24 bits, which f32 holds exactly, so that CPU and GPU agree to the bit. */
export function uniform(u: number): number {
  return (u >>> 8) * 2 ** -24;
}

/**
 * A stream of random numbers keyed by (seed, epoch, index, purpose). Block `k` of four values is
 * `pcg4d(seed, epoch, index, purpose + 256 * k)`, so the n-th draw can be had without the ones before it.
 * Seed, epoch and index are integers in 0 .. 2^32 - 1 (others wrap).
 */
export class Random {
  readonly #block = new Uint32Array(4);
  readonly #seed: number;
  #epoch: number;
  #index: number;
  #purpose: number;
  #drawn = 0;
  #spare: number | undefined;

  constructor(seed: number, epoch: number, index: number, purpose: Purpose) {
    this.#seed = seed;
    this.#epoch = epoch;
    this.#index = index;
    this.#purpose = purpose;
  }

  /** Starts the stream of another (epoch, index, purpose), without a new object. */
  rewind(epoch: number, index: number, purpose: Purpose): this {
    this.#epoch = epoch;
    this.#index = index;
    this.#purpose = purpose;
    this.#drawn = 0;
    this.#spare = undefined;
    return this;
  }

  /** The next u32. */
  u32(): number {
    const lane = this.#drawn & 3;
    if (lane === 0) {
      const counter = this.#purpose + 256 * (this.#drawn >>> 2);
      pcg4dInto(this.#block, 0, this.#seed, this.#epoch, this.#index, counter);
    }
    this.#drawn += 1;
    return this.#block[lane];
  }

  /** The next number in [0, 1), or in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * uniform(this.u32());
  }

  /** The next integer in 0 .. n - 1, for n up to 2^32; the bias is below n / 2^32. */
  below(n: number): number {
    return Math.floor(this.u32() * (n / 2 ** 32));
  }

  /** The next standard normal number (Box-Muller, two at a time). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform(this.u32())));
    const angle = 2 * Math.PI * uniform(this.u32());
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

const NOISE_PERIOD = 4096;

/** Numbers in [-1, 1), for timing: zeros could be faster. The first 4,096 repeat, as to draw tens of millions takes seconds. */
export function noise(size: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size);
  const period = Math.min(size, NOISE_PERIOD);
  for (let i = 0; i < period; i += 4) {
    const four = pcg4d(seed, i, 0, 0);
    for (let j = 0; j < 4 && i + j < period; j++) values[i + j] = four[j] / 2 ** 31 - 1;
  }
  for (let i = period; i < size; i *= 2) values.copyWithin(i, 0, i);
  return values;
}

/** A permutation of 0 .. n - 1 keyed by (seed, epoch): Fisher-Yates, one hash for each position. */
export function permutation(n: number, seed: number, epoch: number, purpose: Purpose = Purpose.shuffle): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  const block = new Uint32Array(4);
  for (let i = n - 1; i > 0; i--) {
    pcg4dInto(block, 0, seed, epoch, i, purpose);
    const j = Math.floor(block[0] * ((i + 1) / 2 ** 32));
    const other = order[j];
    order[j] = order[i]!;
    order[i] = other;
  }
  return order;
}
