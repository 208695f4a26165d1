// Whether a step fits, before it is tried: what the command line and the page ask before a run.
import type { Device } from "../engine/index.ts";
import type { DeviceDataset } from "./data/device-dataset.ts";
import type { Trainer } from "./trainer.ts";

/** Below this memory is not asked for: every GPU, and every machine that opens a page, has it. */
const ALWAYS_FITS = 2 ** 28;

export interface StepNeed {
  /** Infinity where a tensor of the step is larger than the adapter binds. */
  readonly bytes: number;
  /** Which it is. */
  readonly problem: Error | null;
}

/** What a step over so many images takes. */
export function stepNeed(trainer: Trainer, train: DeviceDataset, images: number): StepNeed {
  try {
    return { bytes: trainer.stepBytes(train, images), problem: null };
  } catch (error) {
    return { bytes: Infinity, problem: error as Error };
  }
}

/**
 * Whether so many bytes more can be had.
 *
 * @param ofSoftware the most that tensors may take on a software adapter, which lives in the machine's memory and promises more than
 *   there is; default: no limit
 */
export async function fitsMemory(device: Device, bytes: number, ofSoftware = Infinity): Promise<boolean> {
  if (bytes < ALWAYS_FITS) return true;
  if (!Number.isFinite(bytes)) return false;
  if (device.info.software) return device.memory().bytes + bytes < ofSoftware;
  return device.canAllocate(bytes);
}
