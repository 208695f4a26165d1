// IEEE 754 binary16 on the host: 1 sign, 5 exponent, 10 fraction bits.

/** The value of binary16 bits. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24; // zero and subnormals
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The value of each of the 65,536, made when first needed. */
let values: Float32Array | null = null;

/** Many at once. */
export function halvesToNumbers(halves: Uint16Array): Float32Array {
  values ??= Float32Array.from({ length: 0x1_0000 }, (_, bits) => halfToNumber(bits));
  const result = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) result[i] = values[halves[i]];
  return result;
}

/** The bits of the nearest binary16 number; of two that are equally near the even one. Infinite from 65,520 on. */
export function numberToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return 0x7e00;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // The last place of numbers of this size; below 2^-14 that of subnormals. By the bits of the nearest f32: where that is the next power
  // of two, so is the result.
  single[0] = size;
  const exponent = Math.max(-14, (bitsOfSingle[0] >>> 23) - 127);
  const place = 2 ** (exponent - 10);
  // Carries into the exponent come out right: the bits of neighbours are neighbours.
  const units = roundToEven(size / place);
  return sign | (size < 2 ** -14 ? units : ((exponent + 14) << 10) + units);
}

const single = new Float32Array(1);
const bitsOfSingle = new Uint32Array(single.buffer);

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
