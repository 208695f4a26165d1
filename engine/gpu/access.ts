// What the two platform entries (open.node.ts, open.browser.ts) provide.

export interface OpenGpuOptions {
  /** Part of an adapter's name, where there are several (Node only: browsers choose by themselves). */
  adapter?: string;
  /** Dawn backend, for instance "null", which validates and runs nothing (Node only). */
  backend?: string;
  /** Leave the driver's own messages on stderr. */
  debug?: boolean;
}

/** Raised where no WebGPU adapter answers; the message says how to get one. */
export class NoAdapterError extends Error {
  override name = "NoAdapterError";
}

export interface GpuAccess {
  /** Held while the device lives; in Node the process cannot end before it is dropped. */
  readonly gpu: GPU;
  readonly adapter: GPUAdapter | null;
  /** What to do where `adapter` is null. */
  readonly advice: string;
  /** False where the environment says so: subgroup matrices are not tried then, whatever the adapter lists. */
  readonly matrices: boolean;
  /** Whether timestamps say when a kernel ran: browsers round them, against eavesdroppers. */
  readonly exactTimes: boolean;
  /** Processors: as many kernels are compiled at a time. */
  readonly cores: number;
  /** Runs work with the native library's chatter kept off stderr. */
  quietly<T>(work: () => Promise<T>): Promise<T>;
}
