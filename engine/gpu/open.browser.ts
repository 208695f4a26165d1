// WebGPU in browsers and workers.
import { NoAdapterError, type GpuAccess, type OpenGpuOptions } from "./access.ts";

/**
 * Opens `navigator.gpu`; `adapter` is null where the browser offers none.
 *
 * @throws NoAdapterError where the browser has no WebGPU at all
 */
export async function openGpu({ adapter: wanted }: OpenGpuOptions = {}): Promise<GpuAccess> {
  const gpu = (navigator as Navigator & { gpu?: GPU }).gpu;
  if (wanted) throw new Error("openDevice: browsers choose the adapter themselves; leave `adapter` out");
  if (!gpu) {
    throw new NoAdapterError(
      "no WebGPU: this browser lacks it, or the page is not served over https or from localhost",
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  const advice = "the browser says why at chrome://gpu or about:support";
  const { hardwareConcurrency: cores } = navigator;
  return { gpu, adapter, advice, matrices: true, exactTimes: false, cores, quietly: (work) => work() };
}

/** Browsers wait without polling; see open.node.ts for why this function exists. */
export function settle<T>(promise: Promise<T>): Promise<T> {
  return promise;
}
