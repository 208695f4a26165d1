// Rules that pick a learning rate from the curve of a range test. Each takes rates and smoothed losses, index by index and all finite
// (`suggestionWindow` cuts them), and returns a rate, or null where the curve holds no answer.
import { indexOfLowest } from "./series.ts";

export type Rule = (lrs: readonly number[], losses: readonly number[]) => number | null;

/**
 * Where the loss falls steepest, left of its minimum: what falls behind the minimum is a collapse, not learning.
 * Source: torch-lr-finder's plot(), argmin of numpy.gradient by index, which looks at the whole curve.
 */
export const steepest: Rule = (lrs, losses) => {
  const slopes = gradient(losses).slice(0, Math.max(0, indexOfLowest(losses)));
  const at = indexOfLowest(slopes);
  return at >= 0 && slopes[at] < 0 ? lrs[at] : null;
};

/**
 * The middle of the longest valley: the end of the longest decreasing subsequence, and its length before that as the start; then one
 * third and half a third in. Source: fastai's `valley`. It answers for a curve that never falls too (its first rate), this gives null.
 */
export const valley: Rule = (lrs, losses) => {
  const lengths = losses.map(() => 1);
  for (let i = 1; i < losses.length; i++) {
    for (let j = 0; j < i; j++) if (losses[i] < losses[j]) lengths[i] = Math.max(lengths[i], lengths[j] + 1);
  }
  const end = indexOfLowest(lengths.map((length) => -length));
  if (end < 0 || lengths[end] < 2) return null;
  const third = lengths[end] / 3;
  // fastai begins a step before the subsequence; at the very left Python's negative index would be the last rate.
  return lrs[Math.max(0, end - lengths[end] + Math.trunc(third) + Math.trunc(third / 2))];
};

const INTERVAL = 15;
const FLAT = 0.005;

/**
 * An interval of 15 points slides from the right end to the left until the slopes at its two ends agree to 0.005; the rate at its left
 * end there. Null for fewer than 16 points. Source: fastai's `slide` with its defaults.
 */
export const slide: Rule = (lrs, losses) => {
  const slopes = gradient(losses);
  let right = losses.length - 1;
  let left = right - INTERVAL;
  if (left < 0) return null;
  let rate = lrs[left];
  for (; left >= 0 && Math.abs(slopes[right] - slopes[left]) > FLAT; left--, right--) rate = lrs[left];
  return rate;
};

/** A tenth of the rate with the lowest loss; null where that is the first one. Source: fastai's `minimum`. */
export const minimum: Rule = (lrs, losses) => {
  const at = indexOfLowest(losses);
  return at > 0 ? lrs[at] / 10 : null;
};

/** numpy.gradient by index: central differences, one-sided at the ends. */
function gradient(values: readonly number[]): number[] {
  const last = values.length - 1;
  if (last < 1) return [];
  return values.map((_, i) => {
    const [a, b] = [Math.max(0, i - 1), Math.min(last, i + 1)];
    return (values[b] - values[a]) / (b - a);
  });
}
