// What `launch()` makes and a device encodes.
import type { PooledBuffer } from "./buffers.ts";
import type { CompiledKernel } from "./kernel.ts";
import type { TexelTexture } from "./texels.ts";

/** One dispatch, complete: what `launch()` makes, what is encoded now or (under capture) later. */
export interface Dispatch {
  readonly kernel: CompiledKernel;
  readonly buffers: readonly BoundBuffer[];
  /** The bytes of `Params`, or null for a kernel without. */
  readonly params: Uint8Array | null;
  /** The fields of `Params` that are functions, and what packs all of them again with the values of that moment. */
  readonly live: { readonly names: readonly string[]; readonly repack: () => Uint8Array } | null;
  readonly groups: readonly [number, number];
  /** Floating-point operations, for profiles and for splitting submits. */
  readonly flops: number;
  /** Made beforehand for dispatches that are replayed on the same buffers. */
  readonly prepared?: PreparedBindings;
}

/** A bind group, and the textures in it. */
export interface PreparedBindings {
  readonly group: GPUBindGroup;
  readonly textures: readonly TexelTexture[];
}

export interface BoundBuffer {
  readonly buffer: PooledBuffer;
  readonly offset: number;
  readonly size: number;
}

/** Bytes that a dispatch binds. */
export const bytesOf = (buffers: readonly BoundBuffer[]): number => buffers.reduce((sum, b) => sum + b.size, 0);

/**
 * What takes dispatches, allocations and uploads while a step is recorded instead of run: see ../capture.ts. Buffers that it hands
 * out do not exist yet.
 */
export interface Recorder {
  allocate(bytes: number): PooledBuffer;
  release(buffer: PooledBuffer): void;
  encode(dispatch: Dispatch): void;
  upload(buffer: PooledBuffer, data: ArrayBufferView, offset: number): void;
}
