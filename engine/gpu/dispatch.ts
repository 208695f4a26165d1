// What `launch()` makes and a device encodes.
import type { PooledBuffer } from "./buffers.ts";
import { packParams, type CompiledKernel, type KernelSource, type ParamValue } from "./kernel.ts";

/** One dispatch, complete: what `launch()` makes, what is encoded now or (under capture) later. */
export interface Dispatch {
  readonly kernel: CompiledKernel;
  readonly buffers: readonly BoundBuffer[];
  /** The bytes of `Params`, or null for a kernel without. */
  readonly params: Uint8Array | null;
  readonly groups: readonly [number, number];
  /** Floating-point operations, for profiles and for splitting submits. */
  readonly flops: number;
}

export interface BoundBuffer {
  readonly buffer: PooledBuffer;
  readonly offset: number;
  readonly size: number;
}

/** Bytes that a dispatch binds. */
export const bytesOf = (buffers: readonly BoundBuffer[]): number => buffers.reduce((sum, b) => sum + b.size, 0);

/** Packs `Params` for a dispatch record. */
export function paramsBytes(kernel: KernelSource, values: Readonly<Record<string, ParamValue>>): Uint8Array | null {
  const { size } = kernel.params;
  if (size === 0) return null;
  const bytes = new Uint8Array(size);
  packParams(kernel, values, new DataView(bytes.buffer), 0);
  return bytes;
}
