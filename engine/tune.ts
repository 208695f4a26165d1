// Measures the kernels that a device has to choose from.
import { capture } from "./capture.ts";
import type { Choice, ChoiceInput, OpenChoice } from "./choices.ts";
import { currentDevice } from "./current.ts";
import type { Device } from "./gpu/device.ts";
import { cast } from "./ops/cast.ts";
import { noise } from "./random.ts";
import { scope } from "./scope.ts";
import { sizeOf } from "./shape.ts";
import { fromData, type Tensor } from "./tensor.ts";

export interface TuneOptions {
  /** Called before each measurement, of `total`. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called after each: to keep what is known already. */
  readonly onMeasured?: () => Promise<unknown>;
  /** Aborting it leaves the rest as they are. */
  readonly signal?: AbortSignal;
}

/**
 * Work below this, of all that was asked for (the layers of a step, their gradients), is over so soon that the choice does not matter: compiling
 * other kernels would cost more than it saves.
 */
const worthwhile = ({ flops, uses }: OpenChoice, device: Device): boolean =>
  flops * uses >= (device.info.software ? 4e9 : 2e9);

const ROUNDS = 3;
/** Another kernel than the fixed one must be this much faster: timings are noisy, and equal runs should choose alike. */
const MARGIN = 0.95;

/**
 * Measures every choice that ops have met on the current device (`device.choices.open`) and keeps the fastest kernel of each. Variants
 * take turns, and the least time of each counts: noise only adds. Work too small to be worth it is left to the fixed table. A variant that
 * was chosen may have choices of its own: let the ops run again, and call this until nothing is left.
 *
 * @returns how many were measured
 */
export async function tune({ onProgress, onMeasured, signal }: TuneOptions = {}): Promise<number> {
  const device = currentDevice();
  const choices = device.choices.open.filter((choice) => worthwhile(choice, device));
  for (const [i, choice] of choices.entries()) {
    if (signal?.aborted) return i;
    onProgress?.(i, choices.length);
    const best = await device.choices.whileMeasuring(() => fastest(device, choice, signal));
    if (best === null) return i;
    device.choices.settle(choice, best);
    await onMeasured?.();
  }
  device.choices.close();
  return choices.length;
}

/** Null where it was aborted. */
async function fastest(device: Device, choice: Choice, signal?: AbortSignal): Promise<string | null> {
  const inputs = choice.inputs.map((input, i) => random(input, i));
  const runOf = (variant: string) => () => scope(() => void choice.run(variant, inputs)); // frees what it returns, too
  const measure = device.exactTimes && !device.info.software ? kernelTime : waitingTime;
  const least = new Map(choice.variants.map((variant) => [variant, Infinity]));
  try {
    await Promise.all(choice.variants.map((variant) => compile(choice, variant, inputs)));
    // Software GPUs compile in the first round.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const variant of choice.variants) {
        if (signal?.aborted) return null;
        const milliseconds = await measure(device, choice.flops, runOf(variant));
        if (round > 0) least.set(variant, Math.min(least.get(variant)!, milliseconds));
      }
    }
  } finally {
    for (const tensor of inputs) tensor.dispose();
    device.trim();
  }
  const [best, time] = [...least].reduce((a, b) => (b[1] < a[1] ? b : a));
  return time < MARGIN * least.get(choice.fixed)! ? best : choice.fixed;
}

/** By the GPU's own clock: a matrix product is over there before the host has encoded the next. */
async function kernelTime(device: Device, flops: number, run: () => void): Promise<number> {
  const rows = await device.profile(() => repeat(1e11 / flops, run));
  return rows.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}

/** By the host's clock, for longer than waiting is exact. */
async function waitingTime(device: Device, flops: number, run: () => void): Promise<number> {
  const start = performance.now();
  repeat((device.info.software ? 1e9 : 5e11) / flops, run);
  await device.idle();
  return performance.now() - start;
}

function repeat(times: number, run: () => void): void {
  for (let i = 0; i < Math.min(50, Math.ceil(times)); i++) run();
}

/** Compiles the kernels of a variant: those of all at once, where the driver can. */
async function compile({ run }: Choice, variant: string, inputs: readonly Tensor[]): Promise<void> {
  using step = capture(() => void run(variant, inputs));
  await step.compile();
}

function random({ shape, dtype }: ChoiceInput, seed: number): Tensor {
  const singles = fromData(noise(sizeOf(shape), seed), shape);
  if (dtype === "f32") return singles;
  const halves = cast(singles, "f16"); // many on the host would take longer than the measurements
  singles.dispose();
  return halves;
}
