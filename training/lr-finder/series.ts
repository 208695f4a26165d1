// A range test as numbers: the rates that were tried, the losses they gave, and the losses smoothed.

export type RangeMode = "exp" | "linear";

/** Index by index: the rate of an update, the loss that was measured with it, and the smoothed loss there. */
export interface LossSeries {
  readonly lrs: readonly number[];
  /** As measured; the last may be NaN or infinite. */
  readonly losses: readonly number[];
  readonly smoothed: readonly number[];
}

/**
 * The rates of a range test, both ends included: start * (end/start)^(k/(n-1)), or start + (end - start) * k/(n-1) where linear.
 * Source: torch-lr-finder's ExponentialLR and LinearLR.
 */
export function rangeRates(startLr: number, endLr: number, iterations: number, mode: RangeMode): number[] {
  return Array.from({ length: iterations }, (_, k) => {
    const share = k / (iterations - 1);
    // Powers do not always come back to the end point itself.
    if (k === iterations - 1) return endLr;
    return mode === "exp" ? startLr * (endLr / startLr) ** share : startLr + (endLr - startLr) * share;
  });
}

export interface Smoothing {
  /** Weight of each new loss in the average, 0..1; 1 or 0: no smoothing. */
  readonly smooth: number;
  /** Corrected for its start as fastai's average is; false begins it at the first loss, as torch-lr-finder's `smooth_f` does. */
  readonly debias: boolean;
}

/**
 * The exponential moving average of the losses. The debiased one (fastai's; its beta is 1 - smooth) follows the first losses
 * closely and is taken of losses without lone spikes: a single odd batch would leave a long slope behind it, which every rule for
 * picking a rate takes for learning. From the first loss on that is not finite it is NaN.
 */
export function smoothLosses(losses: readonly number[], { smooth, debias }: Smoothing): number[] {
  if (smooth === 0 || smooth === 1) return losses.map((loss) => (Number.isFinite(loss) ? loss : NaN));
  const kept = debias ? withoutSpikes(losses) : losses;
  let average = debias ? 0 : kept[0];
  return kept.map((loss, k) => {
    if (!debias && k === 0) return Number.isFinite(loss) ? loss : NaN;
    average = Number.isFinite(loss) ? smooth * loss + (1 - smooth) * average : NaN;
    return debias ? average / (1 - (1 - smooth) ** (k + 1)) : average;
  });
}

const SPIKE_OF_NEIGHBOUR = 0.5;
const SPIKE_OF_NOISE = 10;

/**
 * Replaces lone outliers by the mean of their neighbours: losses that are off from both neighbours in the same direction, by more than
 * half of the nearer one and by more than ten times the usual difference between two losses.
 */
export function withoutSpikes(losses: readonly number[]): number[] {
  const differences = losses.slice(1).map((loss, i) => Math.abs(loss - losses[i]));
  const usual = median(differences.filter(Number.isFinite));
  return losses.map((loss, i) => {
    if (i === 0 || i === losses.length - 1) return loss;
    const [left, right] = [losses[i - 1], losses[i + 1]];
    if (![left, loss, right].every(Number.isFinite)) return loss;
    const [up, down] = [loss - Math.max(left, right), Math.min(left, right) - loss];
    const nearer = up > 0 ? Math.max(left, right) : Math.min(left, right);
    const limit = Math.max(SPIKE_OF_NEIGHBOUR * Math.abs(nearer), SPIKE_OF_NOISE * usual);
    return Math.max(up, down) > limit ? (left + right) / 2 : loss;
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[Math.floor((sorted.length - 1) / 2)];
}

/** Index of the smallest value, the first of equals; -1 where there is none. NaN never counts. */
export function indexOfLowest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value < (best < 0 ? Infinity : values[best]) ? i : best), -1);
}
