/**
 * The error function to about 1e-15 relative, from its definitions rather than a fitted polynomial: Kummer's series (all terms
 * of one sign, so nothing cancels) for small arguments, the continued fraction of erfc beyond. Abramowitz & Stegun 7.1.6, 7.1.14.
 */
const SWITCH = 2;

function erfSeries(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

/** erfc for x >= SWITCH: e^-x^2 / sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))), from the tail up. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let n = 120; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

export function erf(x: number): number {
  if (Math.abs(x) < SWITCH) return x === 0 ? x : erfSeries(x);
  return x > 0 ? 1 - erfcFraction(x) : erfcFraction(-x) - 1;
}

/** 1 - erf(x), keeping its relative accuracy where it is tiny. */
export function erfc(x: number): number {
  return x >= SWITCH ? erfcFraction(x) : 1 - erf(x);
}
