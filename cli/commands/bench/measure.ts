// Timing training steps.
import type { Device } from "../../../engine/index.ts";
import type { Module } from "../../../nn/index.ts";
import { median } from "./median.ts";
import { TrainingSteps, type StepOptions } from "./steps.ts";

export interface Measurement {
  readonly imagesPerSecond: number;
  /** From the end of one step to the end of the next. */
  readonly stepMs: number;
  /** Recording and submitting a step, during which the GPU works on the one before. */
  readonly hostMs: number;
  /** The sum of the times of the step's kernels; null where the adapter has no timestamps. */
  readonly gpuMs: number | null;
  readonly dispatches: number;
  /** The most that tensors took at once. */
  readonly peakBytes: number;
}

export interface MeasureOptions extends StepOptions {
  readonly steps: number;
  /** Called before the first step: to choose kernels. */
  readonly prepare?: ((training: TrainingSteps) => Promise<void>) | undefined;
  /** Called with the duration of the first step, from choosing kernels on. */
  readonly onWarmUp?: (seconds: number) => void;
}

/** The first step compiles, the second fills the buffer pool, the third is the first that may be a replay. */
const WARM_UP = 3;

/** Trains `model` on random images, and times it. */
export async function measureSteps(device: Device, model: Module, options: MeasureOptions): Promise<Measurement> {
  using training = new TrainingSteps(model, options);
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

/** Runs steps until the next is like all that follow. */
export async function warmUp(device: Device, training: TrainingSteps, onFirst?: () => void): Promise<void> {
  await training.compile();
  for (let i = 0; i < WARM_UP; i++) {
    training.record();
    await device.idle();
    if (i === 0) onFirst?.();
  }
}

/**
 * As the Trainer does it: one step is recorded while the one before runs. Medians; of a real GPU's steps the mean, since the host sees
 * their ends a few tenths of a millisecond late and nothing else runs there.
 */
export async function timeSteps(
  device: Device,
  training: TrainingSteps,
  steps: number,
): Promise<{ stepMs: number; hostMs: number }> {
  const ends: number[] = [performance.now()];
  const host: number[] = [];
  let previous = Promise.resolve();
  const finish = (): Promise<void> => device.idle().then(() => void ends.push(performance.now()));
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    training.record();
    device.flush();
    host.push(performance.now() - start);
    const running = finish();
    await previous;
    previous = running;
  }
  await previous;
  const stepMs = device.info.software
    ? median(ends.slice(1).map((end, i) => end - ends[i]))
    : (ends.at(-1)! - ends[0]) / steps;
  return { stepMs, hostMs: median(host) };
}

async function kernelTime(device: Device, training: TrainingSteps): Promise<number> {
  const times = await device.profile(() => training.record());
  return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}
