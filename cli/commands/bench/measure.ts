// Timing training steps.
import type { Device } from "../../../engine/index.ts";
import type { Module } from "../../../nn/index.ts";
import { InFlight, stepsInFlight } from "../../../training/in-flight.ts";
import { refuseTooLarge } from "../train/too-large.ts";
import { median } from "./median.ts";
import { TrainingSteps, type StepOptions } from "./steps.ts";

export interface Measurement {
  readonly imagesPerSecond: number;
  /** From the end of one step to the end of the next: a median, see `timeSteps`. */
  readonly stepMs: number;
  /** Recording and submitting a step, during which the GPU works on the one before. */
  readonly hostMs: number;
  /** The sum of the times of the step's kernels; null where the adapter has no timestamps. */
  readonly gpuMs: number | null;
  readonly dispatches: number;
  /**
   * The most that tensors took at once. Textures that operands are copied into (on llvmpipe) are not among them: `device.memory()` counts
   * those as pooled.
   */
  readonly peakBytes: number;
}

export interface MeasureOptions extends StepOptions {
  readonly steps: number;
  /** Called before the first step: to choose kernels. */
  readonly prepare?: ((training: TrainingSteps) => Promise<void>) | undefined;
  /** Called with the duration of the first step, from choosing kernels on. */
  readonly onWarmUp?: (seconds: number) => void;
}

/** `capture()` records the first step, and the 2nd and the 4th again: the next is a replay, as nearly all that follow are. */
const WARM_UP_STEPS = 4;
/** A real GPU's clocks take their time to rise. */
const WARM_UP_MS = 500;

/** A real GPU's steps are timed in so many blocks: after the warm-up, most have no step in them that is recorded again. */
const BLOCKS = 5;

/** Trains `model` on random images, and times it. */
export async function measureSteps(device: Device, model: Module, options: MeasureOptions): Promise<Measurement> {
  using training = new TrainingSteps(model, options);
  await refuseTooLarge(device, training.trainer, training.images);
  const start = performance.now();
  await options.prepare?.(training);
  await warmUp(device, training, () => options.onWarmUp?.((performance.now() - start) / 1000));
  device.resetPeakMemory();
  const before = device.dispatches;
  const { stepMs, hostMs } = await timeSteps(device, training, options.steps);
  const dispatches = (device.dispatches - before) / options.steps;
  const { peakBytes } = device.memory();
  const gpuMs = hasTimestamps(device) ? await kernelTime(device, training) : null;
  return { imagesPerSecond: (1000 * options.batchSize) / stepMs, stepMs, hostMs, gpuMs, dispatches, peakBytes };
}

export const hasTimestamps = (device: Device): boolean => device.gpu.features.has("timestamp-query");

/** Runs steps until the next is like those that follow. */
export async function warmUp(device: Device, training: TrainingSteps, onFirst?: () => void): Promise<void> {
  const run = async (): Promise<void> => {
    training.record();
    await device.idle();
  };
  await training.compile();
  await run();
  onFirst?.();
  const end = performance.now() + (device.info.software ? 0 : WARM_UP_MS);
  for (let steps = 1; steps < WARM_UP_STEPS || performance.now() < end; steps++) await run();
}

/**
 * As the Trainer does it: a step is recorded while those before it run. Medians: of single steps, and on a real GPU of blocks of them, since
 * the host sees the end of a step a few tenths of a millisecond late.
 */
export async function timeSteps(
  device: Device,
  training: TrainingSteps,
  steps: number,
): Promise<{ stepMs: number; hostMs: number }> {
  const ends: number[] = [performance.now()];
  const host: number[] = [];
  const inFlight = new InFlight();
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    training.record();
    device.flush();
    host.push(performance.now() - start);
    inFlight.push(device.idle().then(() => ends.push(performance.now())));
    await inFlight.waitFor(stepsInFlight());
  }
  await inFlight.waitFor(0);
  return { stepMs: medianStep(ends, device.info.software ? steps : BLOCKS), hostMs: median(host) };
}

/** The median over blocks of steps of the time of a step, from when the first began and when each ended. */
export function medianStep(times: readonly number[], blocks: number): number {
  const steps = times.length - 1;
  const count = Math.min(blocks, steps);
  const edges = Array.from({ length: count + 1 }, (_, i) => Math.round((i * steps) / count));
  return median(edges.slice(1).map((edge, i) => (times[edge] - times[edges[i]]) / (edge - edges[i])));
}

async function kernelTime(device: Device, training: TrainingSteps): Promise<number> {
  const times = await device.profile(() => training.record());
  return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}
