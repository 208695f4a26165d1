// Timing training steps.
import { scope, type Device } from "../../../engine/index.ts";
import type { Module } from "../../../nn/index.ts";
import { DeviceDataset, SGD, Trainer, type ImageSet } from "../../../training/index.ts";

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

export interface MeasureOptions {
  readonly batchSize: number;
  readonly steps: number;
  readonly imageSize: number;
  /** Called with the duration of the first step. */
  readonly onWarmUp: (seconds: number) => void;
}

/** The first step compiles, the second fills the buffer pool. */
const WARM_UP = 2;

/** Trains `model` on random images, and times it. */
export async function measureSteps(device: Device, model: Module, options: MeasureOptions): Promise<Measurement> {
  const { batchSize, steps, imageSize, onWarmUp } = options;
  using images = randomImages(batchSize, imageSize);
  using optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
  const trainer = new Trainer({ model, optimizer, batchSize });
  const indices = trainer.order(images, 1);
  let step = 0;
  const record = (): void => scope(() => void trainer.step(images, indices, { epoch: 1, step: step++ }, null));

  const start = performance.now();
  for (let i = 0; i < WARM_UP; i++) {
    record();
    await device.idle();
    if (i === 0) onWarmUp((performance.now() - start) / 1000);
  }
  device.resetPeakMemory();
  const before = device.dispatches;
  const { stepMs, hostMs } = await timeSteps(device, record, steps);
  const dispatches = (device.dispatches - before) / steps;
  const { peakBytes } = device.memory();
  const gpuMs = device.gpu.features.has("timestamp-query") ? await kernelTime(device, record) : null;
  return { imagesPerSecond: (1000 * batchSize) / stepMs, stepMs, hostMs, gpuMs, dispatches, peakBytes };
}

/** As the Trainer does it: one step is recorded while the one before runs. */
async function timeSteps(
  device: Device,
  record: () => void,
  steps: number,
): Promise<{ stepMs: number; hostMs: number }> {
  const ends: number[] = [performance.now()];
  const host: number[] = [];
  let previous = Promise.resolve();
  const finish = (): Promise<void> => device.idle().then(() => void ends.push(performance.now()));
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    record();
    device.flush();
    host.push(performance.now() - start);
    const running = finish();
    await previous;
    previous = running;
  }
  await previous;
  return { stepMs: median(ends.slice(1).map((end, i) => end - ends[i])), hostMs: median(host) };
}

async function kernelTime(device: Device, record: () => void): Promise<number> {
  const times = await device.profile(record);
  return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}

function randomImages(count: number, size: number): DeviceDataset {
  // Any bytes do, but not zeros: a GPU can be faster on those.
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  const set: ImageSet = {
    count,
    height: size,
    width: size,
    channels: 3,
    images: Uint8Array.from({ length: count * size * size * 3 }, random),
    labels: Uint8Array.from({ length: count }, () => random() % 10),
    skipped: 0,
  };
  const classes = Array.from({ length: 10 }, (_, i) => `class ${i}`);
  return new DeviceDataset(set, { classes, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
