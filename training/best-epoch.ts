// Which epoch is the best, in one place for the weights that are kept and the figures that are shown.
import type { BestEpoch } from "./checkpoint.ts";
import type { EpochReport } from "./events.ts";

/** The better of the best so far and an epoch: by the images held out for that, else by the test set. Of equal ones the first. */
export function betterEpoch(
  best: BestEpoch | null,
  { epoch, validationAccuracy, testAccuracy }: EpochReport,
): BestEpoch | null {
  const accuracy = validationAccuracy ?? testAccuracy;
  return accuracy === null || (best && accuracy <= best.accuracy) ? best : { epoch, accuracy };
}

/** Null where no epoch was tested. */
export const bestEpoch = (epochs: readonly EpochReport[]): BestEpoch | null =>
  epochs.reduce<BestEpoch | null>(betterEpoch, null);
