// Test data that two languages compute alike, so that nothing large is stored: the twin of the formula in make-reference.py.
// hash(name, i): 32-bit FNV-1a of the name's UTF-8 bytes, plus i * 0x9e3779b9, through the "lowbias32" finaliser; all mod 2^32.
// unit(name, i): the upper 24 bits of that, scaled to [-1, 1): exact in float32.

const goldenRatio = 0x9e3779b9;

/** FNV-1a of the name. */
function nameHash(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193);
  return h;
}

function mix(seed: number, index: number): number {
  let h = (seed + Math.imul(index, goldenRatio)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

const toUnit = (hash: number): number => (hash >>> 8) / 2 ** 23 - 1;

export const hash = (name: string, index: number): number => mix(nameHash(name), index);

export const unit = (name: string, index: number): number => toUnit(hash(name, index));

/** offset + scale * unit(name, i), computed in float64 and rounded once to float32. */
export function values(name: string, length: number, scale = 1, offset = 0): Float32Array {
  // The name is hashed once: models have millions of values.
  const seed = nameHash(name);
  const result = new Float32Array(length);
  for (let i = 0; i < length; i++) result[i] = offset + scale * toUnit(mix(seed, i));
  return result;
}

/**
 * A model's starting value by its state-dict name, in PyTorch's layout ([K,C,R,S], [out,in]).
 *
 * "plain": convolution and linear weights unit / sqrt(fan in); batch-norm weight and running_var 1 + 0.1 unit; biases and running_mean
 * 0.1 unit. "calm" differs in the batch norms' weights and biases, which then keep activations away from ReLU's kink: training steps are
 * comparable only so (the script says why).
 */
export function stateValues(name: string, shape: readonly number[], start: "plain" | "calm"): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  if (shape.length > 1) return values(name, length, 1 / Math.sqrt(length / shape[0]));
  if (start === "calm") {
    if (name.endsWith("bn1.bias")) {
      return Float32Array.from({ length }, (_, i) => 0.5 * unit(name, i) + (unit(name, i) < 0 ? -2.5 : 2.5));
    }
    if (name.endsWith("bn2.bias")) return values(name, length, 0.05, 0.4);
    if (name.endsWith("downsample.1.bias")) return values(name, length, 0.05);
    if (name.endsWith("bn2.weight") || name.endsWith("downsample.1.weight")) return values(name, length, 0.01, 0.1);
  }
  const nearOne = name.endsWith("running_var") || name.endsWith("weight");
  return values(name, length, 0.1, nearOne ? 1 : 0);
}

export type Batch = { series: string; shape: readonly [n: number, c: number, h: number, w: number] };

/** For logits, with the plain start. */
export const logitsBatch: Batch = { series: "input", shape: [8, 3, 32, 32] };
/** For training steps, with the calm start. */
export const trainingBatch: Batch = { series: "small0", shape: [4, 3, 16, 16] };

/** The images of a step in PyTorch's order, [N,C,H,W]. */
export function images({ series, shape }: Batch, step: number): Float32Array {
  return values(`${series}.${step}`, shape[0] * shape[1] * shape[2] * shape[3], 1.5);
}

/** The same images channels last, [N,H,W,C]. */
export function imagesChannelsLast(batch: Batch, step: number): Float32Array {
  const [n, c, h, w] = batch.shape;
  const planes = images(batch, step);
  const pixels = h * w;
  return Float32Array.from({ length: n * pixels * c }, (_, at) => {
    const image = Math.floor(at / (pixels * c));
    const pixel = Math.floor(at / c) % pixels;
    return planes[(image * c + (at % c)) * pixels + pixel];
  });
}

export function labels({ shape }: Batch, step: number): number[] {
  return Array.from({ length: shape[0] }, (_, i) => (3 * i + step) % 10);
}

/** Which 16 elements of a tensor of `length` the stored values show. */
export function sampleIndices(name: string, length: number): number[] {
  return Array.from({ length: 16 }, (_, j) => hash(`${name}#sample`, j) % length);
}
