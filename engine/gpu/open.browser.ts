// WebGPU in browsers and workers.
import type { GpuAccess, OpenGpuOptions } from "./access.ts";

/** Opens `navigator.gpu`; `adapter` is null where the browser offers none. */
export async function openGpu({ adapter: wanted }: OpenGpuOptions = {}): Promise<GpuAccess> {
  const gpu = (navigator as Navigator & { gpu?: GPU }).gpu;
  if (wanted) throw new Error("openDevice: browsers choose the adapter themselves; leave `adapter` out");
  if (!gpu)
    throw new Error("openDevice: this browser has no WebGPU (or the page is not served over https or localhost)");
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  return { gpu, adapter, quietly: (work) => work() };
}

/** Browsers wait without polling; see open.node.ts for why this function exists. */
export function settle<T>(promise: Promise<T>): Promise<T> {
  return promise;
}
