// @ts-check
// How long work takes.

/** @typedef {import("../engine/index.ts").Device} Device */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** How long a sample by the clock should take, in milliseconds: waiting for its end, in naps, costs up to half of one. */
const SAMPLE = 25;

/** Milliseconds of a run by the clock, of `times` that are waited for together. @param {Device} device @param {number} times @param {() => void} run */
export async function clock(device, times, run) {
  const start = performance.now();
  for (let i = 0; i < times; i++) run();
  await device.idle();
  return (performance.now() - start) / times;
}

/** Runs once, so that all is compiled, and once more: how many runs make a sample? @param {Device} device @param {() => void} run */
export async function runsOfSample(device, run) {
  await clock(device, 1, run);
  return Math.max(1, Math.ceil(SAMPLE / (await clock(device, 1, run))));
}

/** Milliseconds of `work`: by timestamps where the device has them, else by the clock. @param {Device} device @param {() => void} work */
export async function timeOf(device, work) {
  if (!device.gpu.features.has("timestamp-query")) return clock(device, 1, work);
  const kernels = await device.profile(work);
  return kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}
