// Whether a step fits the adapter, before there is a run folder.
import type { Device } from "../../../engine/index.ts";
import type { DeviceDataset, Trainer } from "../../../training/index.ts";
import { fitsMemory, stepNeed } from "../../../training/step-memory.ts";

/** @throws Error of one line that names a batch size that fits */
export async function refuseTooLarge(device: Device, trainer: Trainer, train: DeviceDataset): Promise<void> {
  const { batchSize, stepImages } = trainer;
  const problem = await tooLarge(device, trainer, train, Math.min(stepImages, train.count));
  if (problem === null) return;
  // Powers of two; a single batch of a step that has several takes the most of it.
  let fitting = 2 ** Math.ceil(Math.log2(Math.min(batchSize, train.count)) - 1);
  while (fitting >= 1 && (await tooLarge(device, trainer, train, fitting))) fitting /= 2;
  if (fitting < 1) throw problem;
  throw new Error(`--batch-size ${batchSize} is too much for this adapter: ${fitting} fits`, { cause: problem });
}

/** Why a step over so many images cannot run; null where it can. */
async function tooLarge(device: Device, trainer: Trainer, train: DeviceDataset, images: number): Promise<Error | null> {
  const { bytes, problem } = stepNeed(trainer, train, images);
  if (problem !== null || (await fitsMemory(device, bytes))) return problem;
  return new Error(
    `a step over ${images} images takes ${(bytes / 2 ** 30).toFixed(1)} GiB, more than this adapter has: ` +
      "take a smaller --model or --image-size",
  );
}
