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

/**
 * Steps of an epoch over `count` images: the last one, which may not be full, counts unless `dropLast`.
 *
 * @throws Error of one line where there is none
 */
export function stepsPerEpoch(count: number, { batchSize, accumulate, dropLast }: StepSize): number {
  const stepImages = batchSize * accumulate;
  const steps = dropLast ? Math.floor(count / stepImages) : Math.ceil(count / stepImages);
  if (steps > 0) return steps;
  throw new Error(`${count} images make no full step of ${stepImages}, and others are left out: lower the batch size`);
}

/** Steps of so many epochs; of a fraction of one those that begin in it. */
export function stepsOf(epochs: number, perEpoch: number): number {
  if (!(epochs > 0 && epochs < 2 ** 32)) throw new Error(`epochs must be above 0, got ${epochs}`);
  // 0.1 * 30 is a little above 3, and must not become 4.
  return Math.ceil(Number((epochs * perEpoch).toPrecision(12)));
}
