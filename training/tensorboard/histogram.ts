// TensorBoard's histograms: exponentially growing buckets, the same for all values.

/** HistogramProto. `bucket[i]` values lie in `bucketLimit[i - 1] <= value < bucketLimit[i]`. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  readonly bucketLimit: readonly number[];
  readonly bucket: readonly number[];
}

const SMALLEST = 1e-12;
const GROWTH = 1.1;
const POSITIVE = positiveLimits();
/** All limits, ascending: -MAX .. -1e-12, 0, 1e-12 .. MAX. */
const LIMITS = Float64Array.from([...[...POSITIVE].reverse().map((limit) => -limit), 0, ...POSITIVE]);
const ZERO = POSITIVE.length;

/** TensorFlow's limits (tsl/lib/histogram): 1e-12 times powers of 1.1 by repeated multiplication, then the largest double. */
function positiveLimits(): number[] {
  const limits = [];
  for (let limit = SMALLEST; limit < 1e20; limit *= GROWTH) limits.push(limit);
  return [...limits, Number.MAX_VALUE];
}

/** The bucket of a finite value: the first whose limit is above it. */
function bucketOf(value: number): number {
  const magnitude = Math.abs(value);
  let bucket = ZERO + 1;
  if (magnitude >= SMALLEST) {
    // A logarithm finds the place to within one, for a fifth of a binary search's time.
    const steps = Math.min(POSITIVE.length - 1, Math.floor(Math.log(magnitude / SMALLEST) / Math.log(GROWTH)) + 1);
    bucket = value > 0 ? ZERO + 1 + steps : ZERO - 1 - steps;
  } else if (value < 0) bucket = ZERO;
  while (LIMITS[bucket] <= value && bucket < LIMITS.length - 1) bucket++;
  while (bucket > 0 && LIMITS[bucket - 1] > value) bucket--;
  return bucket;
}

/** The histogram of `values`; null where none is finite. Values that are not finite are left out. */
export function histogramOf(values: ArrayLike<number>): Histogram | null {
  const counts = new Float64Array(LIMITS.length);
  let [min, max, num, sum, sumSquares] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isFinite(value)) continue;
    counts[bucketOf(value)]++;
    num++;
    sum += value;
    sumSquares += value * value;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return num === 0 ? null : { min, max, num, sum, sumSquares, ...compact(counts) };
}

/**
 * Runs of empty buckets become one, as TensorFlow writes them. Those at both ends go: TensorBoard takes `min` for the left end of the
 * first bucket, which would then stand to the right of its limit.
 */
function compact(counts: Float64Array): { bucketLimit: number[]; bucket: number[] } {
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  const bucketLimit: number[] = [];
  const bucket: number[] = [];
  for (let i = first; i <= last; i++) {
    if (counts[i] === 0 && counts[i + 1] === 0) continue;
    bucketLimit.push(LIMITS[i]);
    bucket.push(counts[i]);
  }
  return { bucketLimit, bucket };
}
