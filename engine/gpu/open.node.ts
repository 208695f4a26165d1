// WebGPU in Node: Dawn, through the `webgpu` package. The only file that imports it.
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { GpuAccess, OpenGpuOptions } from "./access.ts";

/** Without the first Dawn lists no subgroup matrices, without the second no f16 on NVIDIA's Vulkan driver: kernels of both are tested on opening. */
const ENABLED = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"];
const DISABLED = ["timestamp_quantization"];
/** More of Dawn's toggles, to compare: their names with commas between them. */
const more = (variable: string): string[] => process.env[variable]?.split(",").filter(Boolean) ?? [];

/**
 * Opens Dawn. Nothing is put on globalThis, and the caller must drop the returned object when done: Dawn keeps the process
 * alive while it is reachable.
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<GpuAccess> {
  const { create } = await import("webgpu");
  const flags = [
    `enable-dawn-features=${[...ENABLED, ...more("KILN_DAWN_ENABLE")].join(",")}`,
    `disable-dawn-features=${[...DISABLED, ...more("KILN_DAWN_DISABLE")].join(",")}`,
  ];
  const matrices = process.env["KILN_MATRICES"] !== "off";
  if (options.backend) flags.push(`backend=${options.backend}`);
  if (options.adapter) flags.push(`adapter=${options.adapter}`);
  return quietly(options.debug ?? false, async () => {
    const gpu = create(flags);
    let advice = "`npm run setup` installs a software one or says how";
    const request = settle(gpu.requestAdapter({ powerPreference: "high-performance" }));
    const adapter = await request.catch((error: unknown) => {
      // Dawn rejects where the name fits none, and lists those that there are.
      const names = [...String(error).matchAll(/name: '(.*)'/g)].map(([, name]) => name);
      if (options.adapter === undefined) throw error;
      if (names.length > 0) advice = `there is ${names.join(", ")}`;
      return null;
    });
    // Without Mesa's cache a device finds nothing of what others have compiled.
    const cores = /^(1|true|yes)$/i.test(process.env["MESA_SHADER_CACHE_DISABLE"] ?? "") ? 1 : availableParallelism();
    return {
      gpu,
      adapter,
      advice,
      matrices,
      exactTimes: true,
      cores,
      quietly: (work) => quietly(options.debug ?? false, work),
    };
  });
}

/** How many are at work quietly, and the descriptor that keeps stderr meanwhile. */
let quiet = 0;
let keptStderr: number | null = null;

/**
 * Dawn's native code prints warnings in every process, and a stack-like block when there is no adapter, straight to file
 * descriptor 2. JavaScript cannot catch that, so the descriptor points to /dev/null while a device is opened. Of several that
 * open at a time, the first redirects and the last restores.
 */
async function quietly<T>(debug: boolean, work: () => Promise<T>): Promise<T> {
  if (debug || process.platform !== "linux") return work();
  if (quiet++ === 0) muteStderr();
  try {
    return await work();
  } finally {
    if (--quiet === 0) restoreStderr();
  }
}

function muteStderr(): void {
  if (hasPositionInFile()) return;
  try {
    keptStderr = openSync("/proc/self/fd/2", "a");
  } catch {
    return; // stderr is a socket (Node makes its children's pipes so), which cannot be opened a second time
  }
  closeSync(2);
  openSync("/dev/null", "a"); // takes the lowest free descriptor, which is 2
}

/**
 * With `2> log` whoever else writes there (stdout with `2>&1`, a script's other commands) does so through the same description of the
 * file, from where the last one stopped. Opened a second time, stderr would have a position of its own, and they would overwrite each
 * other: better a few warnings of Dawn's in the log. With `2>> log` all is written at the end.
 */
function hasPositionInFile(): boolean {
  try {
    const [, flags] = /^flags:\s*(\d+)/m.exec(readFileSync("/proc/self/fdinfo/2", "utf8"))!;
    return fstatSync(2).isFile() && (Number.parseInt(flags, 8) & constants.O_APPEND) === 0;
  } catch {
    return false; // it is closed
  }
}

function restoreStderr(): void {
  if (keptStderr === null) return;
  closeSync(2);
  openSync(`/proc/self/fd/${keptStderr}`, "a");
  closeSync(keptStderr);
  keptStderr = null;
}

const SPIN_MS = 0.1;
const NAP_MS = 0.3;
const clock = new Int32Array(new SharedArrayBuffer(4));
let pending = 0;
let ticking = false;
let spinUntil = 0;

/**
 * Awaits a GPU promise without burning a core. While one is pending, Dawn's binding polls through setImmediate at 100 % of a
 * core, which on a 2-core software GPU is half of the machine. Sleeping inside each turn of the loop leaves it to the kernels
 * (1.6 times faster there); the short spin first keeps the latency of small readbacks low.
 */
export async function settle<T>(promise: Promise<T>): Promise<T> {
  pending++;
  spinUntil = performance.now() + SPIN_MS;
  if (!ticking) {
    ticking = true;
    setImmediate(tick);
  }
  try {
    return await promise;
  } finally {
    pending--;
  }
}

function tick(): void {
  if (pending === 0) {
    ticking = false;
    return;
  }
  if (performance.now() > spinUntil) Atomics.wait(clock, 0, 0, NAP_MS);
  setImmediate(tick);
}
