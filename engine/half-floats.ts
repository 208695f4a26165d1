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

/** The bits of the nearest binary16 number; of two that are equally near the even one. Infinite from 65,520 on. */
export function numberToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return 0x7e00;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // The last place of numbers of this size; below 2^-14 that of subnormals.
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const place = 2 ** (exponent - 10);
  // Carries into the exponent come out right: the bits of neighbours are neighbours.
  const units = roundToEven(size / place);
  return sign | (size < 2 ** -14 ? units : ((exponent + 14) << 10) + units);
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
