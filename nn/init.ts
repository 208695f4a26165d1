// Starting values of parameters, drawn on the host from counter-based random numbers.
import { pcg4d, Purpose, Random } from "../engine/random.ts";

/** Numbers in memory of their own. */
export type HostFloats = Float32Array<ArrayBuffer>;

/** Makes `size` starting values. Those that need randomness draw it from `random`. */
export type Initializer = (size: number, random: Random) => HostFloats;

/** The same value everywhere. */
export const constant =
  (value: number): Initializer =>
  (size) =>
    new Float32Array(size).fill(value);

/** Uniform in [-bound, bound). */
export const uniform =
  (bound: number): Initializer =>
  (size, random) => {
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) values[i] = random.uniform(-bound, bound);
    return values;
  };

/** Normal with mean 0 and the given standard deviation. */
export const normal =
  (std: number): Initializer =>
  (size, random) => {
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) values[i] = std * random.normal();
    return values;
  };

/**
 * PyTorch's default for the weights and biases of convolutions and linear layers: uniform in +-1/sqrt(fanIn), whose standard
 * deviation is 1/sqrt(3 fanIn). (Its source says kaiming_uniform with a = sqrt(5), which comes to the same.)
 *
 * @param fanIn inputs of one output: channels per group times taps of the kernel
 */
export const fanInUniform = (fanIn: number): Initializer => uniform(1 / Math.sqrt(fanIn));

/** The random numbers of the parameter `name` of a model made with `seed`: they don't depend on what else the model has. */
export function randomForName(seed: number, name: string): Random {
  return new Random(seed, hashName(name), 0, Purpose.init);
}

/** The random numbers of the n-th parameter made in this program, for modules that were given no seed. */
export function randomForOrder(n: number): Random {
  return new Random(0, n, 1, Purpose.init);
}

/** The seed of the dropout layer `name` of a model made with `seed`. */
export const dropoutSeed = (seed: number, name: string): number => pcg4d(seed, hashName(name), 0, Purpose.dropout)[0];

/** 32-bit FNV-1a of the name's UTF-8 bytes. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
