// The one device that all tests share: opening another would compile every kernel again.
import { expect, vi, type TestContext } from "vitest";
import { currentDevice, fromData, openDevice } from "../../engine/index.ts";
import type { Choice, Device, DType, KernelFamily, Tensor } from "../../engine/index.ts";

const shared = globalThis as typeof globalThis & { kilnTestDevice?: Promise<Device> };

/** The shared device. Call it in `beforeAll`. */
export function testDevice(): Promise<Device> {
  return (shared.kilnTestDevice ??= openDevice());
}

/** Runs `work` with another kernel family, where the device has it. */
export async function withFamily<T>(family: KernelFamily, work: () => T | Promise<T>): Promise<T> {
  const device = await testDevice();
  const before = device.family;
  device.family = family;
  try {
    return await work();
  } finally {
    device.family = before;
  }
}

/** Runs `work` on the kernels for software GPUs with one setting of `device.winograd`. */
export function withWinograd<T>(setting: Device["winograd"], work: () => T | Promise<T>): Promise<T> {
  return withFamily("subgroup", async () => {
    const device = currentDevice();
    const before = device.winograd;
    device.winograd = setting;
    try {
      return await work();
    } finally {
      device.winograd = before;
    }
  });
}

/** Runs `work` with one variant of an op that several kernels can compute, whatever the tables say. */
export async function withVariant<T>(op: string, variant: string, work: () => T | Promise<T>): Promise<T> {
  const { choices } = await testDevice();
  const asked: string[] = [];
  const chosen = vi.spyOn(choices, "choose").mockImplementation((choice: Choice): string => {
    asked.push(choice.op);
    return choice.op === op && choice.variants.includes(variant) ? variant : choice.fixed;
  });
  try {
    return await work();
  } finally {
    chosen.mockRestore();
    expect(asked).toContain(op);
  }
}

/** Skips a test of the subgroup family on adapters that cannot run it. */
export function needsSubgroupTiles(context: TestContext): void {
  const { gpu, info } = currentDevice();
  const has = gpu.features.has("subgroups") && (info.subgroupSize === 4 || info.subgroupSize === 8);
  if (!has) context.skip("the adapter's subgroups are not of 4 or 8 lanes");
}

/** A GPU tensor from reference numbers. */
export function toGpu(
  array: { shape: readonly number[]; data: ArrayLike<number> },
  options: { dtype?: DType; requiresGrad?: boolean } = {},
): Tensor {
  const result = fromData(Float64Array.from(array.data), array.shape, options.dtype ?? "f32");
  result.requiresGrad = options.requiresGrad ?? false;
  return result;
}
