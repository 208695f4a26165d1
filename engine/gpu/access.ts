// What the two platform entries (open.node.ts, open.browser.ts) provide.

export interface OpenGpuOptions {
  /** Part of an adapter's name, where there are several (Node only: browsers choose by themselves). */
  adapter?: string;
  /** Dawn backend, for instance "null", which validates and runs nothing (Node only). */
  backend?: string;
  /** Leave the driver's own messages on stderr. */
  debug?: boolean;
}

export interface GpuAccess {
  /** Held while the device lives; in Node the process cannot end before it is dropped. */
  readonly gpu: GPU;
  readonly adapter: GPUAdapter | null;
  /** Runs work with the native library's chatter kept off stderr. */
  quietly<T>(work: () => Promise<T>): Promise<T>;
}
