import { type Arr, sizeOf } from "../reference/array.ts";

/** A stream of uniform numbers in [0,1) with 32 random bits each (mulberry32): small, and the same on every machine. */
export function uniforms(seed: number): () => number {
  // Neighbouring seeds are spread far apart, so that the streams of two inputs of one test don't overlap.
  let state = Math.imul(seed ^ 0x2545f491, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Range {
  min?: number;
  max?: number;
}

/**
 * Uniform values in [min, max) (default [-1, 1)), each exactly a float32, so that the GPU and the float64 reference start from
 * the same numbers; never zero.
 */
export function randomArr(shape: readonly number[], seed: number, { min = -1, max = 1 }: Range = {}): Arr {
  const next = uniforms(seed);
  const data = new Float64Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    do data[i] = Math.fround(min + (max - min) * next());
    while (data[i] === 0);
  }
  return { shape: [...shape], data };
}

/** `count` whole numbers in [min, max), 0 included: labels, indices, masks ({ min: 0, max: 2 }). */
export function randomInts(count: number, seed: number, { min, max }: Required<Range>): number[] {
  const next = uniforms(seed);
  return Array.from({ length: count }, () => min + Math.floor((max - min) * next()));
}

/** 0 .. count-1 in random order. */
export function randomPermutation(count: number, seed: number): number[] {
  const next = uniforms(seed);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
