// @ts-check
// How long kernels take.

/**
 * Milliseconds of `work`: by timestamps where the device has them, else by the clock.
 *
 * @param {import("../dist/engine/index.js").Device} device
 * @param {() => void} work
 * @param {(kernel: import("../dist/engine/index.js").KernelTime) => boolean} counts which kernels do, where there are timestamps
 */
export async function timeOf(device, work, counts = () => true) {
  if (device.gpu.features.has("timestamp-query")) {
    const kernels = await device.profile(work);
    return kernels.filter(counts).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  }
  const start = performance.now();
  work();
  await device.idle();
  return performance.now() - start;
}
