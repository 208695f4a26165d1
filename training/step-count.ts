// How many steps an epoch has, and a run.

/** With fewer in all a schedule hardly leaves its warm-up. */
export const FEW_STEPS = 5;

/** What decides it besides the number of images. */
export interface StepSize {
  readonly batchSize: number;
  /** Batches a step. */
  readonly accumulate: number;
  readonly dropLast: boolean;
}

/** Of `count` images those that an epoch shows: `dropLast` leaves out what fills no batch. */
export function imagesPerEpoch(count: number, { batchSize, dropLast }: Omit<StepSize, "accumulate">): number {
  return dropLast ? count - (count % batchSize) : count;
}

/**
 * Steps of an epoch over `count` images. The last one may have fewer batches than others.
 *
 * @throws Error of one line where there is none
 */
export function stepsPerEpoch(count: number, size: StepSize): number {
  const steps = Math.ceil(imagesPerEpoch(count, size) / (size.batchSize * size.accumulate));
  if (steps > 0) return steps;
  throw new Error(`${count} images make no batch of ${size.batchSize}, and others are left out: lower the batch size`);
}

/** Steps of so many epochs; of a fraction of one those that begin in it. */
export function stepsOf(epochs: number, perEpoch: number): number {
  if (!(epochs > 0 && epochs < 2 ** 32)) throw new Error(`epochs must be above 0, got ${epochs}`);
  // 0.1 * 30 is a little above 3, and must not become 4.
  return Math.ceil(Number((epochs * perEpoch).toPrecision(12)));
}
