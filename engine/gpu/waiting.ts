// Times of dispatches without timestamps: each alone, and waited for.
import type { Device } from "./device.ts";
import type { Dispatch } from "./dispatch.ts";
import { timeOf, type DispatchTime, type ProfileOptions } from "./profiler.ts";

/** Milliseconds that a measurement should last: the clocks of pages tick every 0.1 ms. */
const LONG_ENOUGH = 5;
const MOST_RUNS = 128;

/** Runs dispatches again that are still on their buffers. Those that are alike are timed once. */
export async function timeByWaiting(
  device: Device,
  dispatches: readonly Dispatch[],
  { signal, onProgress }: ProfileOptions,
): Promise<DispatchTime[]> {
  await device.idle();
  const empty = await waitOf(device);
  const known = new Map<string, number>();
  const times: DispatchTime[] = [];
  for (const dispatch of dispatches) {
    if (signal?.aborted) break;
    const key = keyOf(dispatch);
    let milliseconds = known.get(key);
    if (milliseconds === undefined) known.set(key, (milliseconds = await timeAlone(device, dispatch, empty)));
    times.push(timeOf(dispatch, milliseconds));
    onProgress?.(times.length, dispatches.length);
  }
  return times;
}

async function timeAlone(device: Device, dispatch: Dispatch, empty: number): Promise<number> {
  const once = await timeRuns(device, dispatch, 1);
  if (once > LONG_ENOUGH + empty) return once - empty;
  const runs = Math.min(MOST_RUNS, Math.ceil(LONG_ENOUGH / Math.max(once - empty, LONG_ENOUGH / MOST_RUNS)));
  const several = await timeRuns(device, dispatch, runs);
  // A wait that happens to be shorter than an empty one would make a time of nothing, or less.
  return Math.max(several - empty, several / 10) / runs;
}

async function timeRuns(device: Device, dispatch: Dispatch, runs: number): Promise<number> {
  // Only a dispatch that is long itself is submitted while it is encoded.
  for (let i = 1; i < runs; i++) device.encode(dispatch);
  const start = performance.now();
  device.encode(dispatch);
  await device.idle();
  return performance.now() - start;
}

/** What waiting for nothing takes: the median of a few submits that are empty. */
async function waitOf(device: Device): Promise<number> {
  const waits: number[] = [];
  for (let i = 0; i < 7; i++) {
    const start = performance.now();
    device.gpu.queue.submit([device.gpu.createCommandEncoder().finish()]);
    await device.idle();
    waits.push(performance.now() - start);
  }
  return waits.sort((a, b) => a - b)[3];
}

const keyOf = ({ kernel, groups, buffers, params }: Dispatch): string =>
  [kernel.id, groups, buffers.map(({ size }) => size), params ?? ""].join("|");
