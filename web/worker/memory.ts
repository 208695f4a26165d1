// Whether a batch fits, before it is tried: a page that runs out of memory is closed without a word.
import type { Device } from "../../engine/index.ts";
import type { DeviceDataset, Trainer } from "../../training/index.ts";
import { fitsMemory, stepNeed } from "../../training/step-memory.ts";

/** Gigabytes of the machine, as browsers tell it: rounded, and never more than 8 or 32. Firefox and Safari do not tell. */
const gigabytes = (): number => (navigator as Navigator & { deviceMemory?: number }).deviceMemory ?? 4;

/**
 * @throws Error of one line that names the largest batch that fits
 */
export async function refuseTooLarge(device: Device, trainer: Trainer, train: DeviceDataset): Promise<void> {
  const whole = Math.min(trainer.stepImages, train.count);
  const { bytes: wanted } = stepNeed(trainer, train, whole);
  if (await fits(device, wanted)) return;
  let [fitting, tooMany] = [0, whole];
  while (tooMany - fitting > Math.max(1, tooMany >> 4)) {
    const middle = (fitting + tooMany) >> 1;
    if (await fits(device, stepNeed(trainer, train, middle).bytes)) fitting = middle;
    else tooMany = middle;
  }
  const size = Number.isFinite(wanted)
    ? `a step would take ${(wanted / 2 ** 30).toFixed(1)} GiB, and that is`
    : "a step is";
  const advice = fitting > 0 ? `the largest batch size that fits is about ${fitting}` : "take a smaller model";
  throw new Error(`batch size ${trainer.batchSize}: ${size} more than this GPU has for a page; ${advice}`);
}

/** Half of the machine's memory is left to all else. */
const fits = (device: Device, bytes: number): Promise<boolean> =>
  fitsMemory(device, bytes, (gigabytes() / 2) * 2 ** 30);
