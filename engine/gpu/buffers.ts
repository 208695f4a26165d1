// The buffer pool. A fresh buffer costs its zero-fill at first use (0.4 ms a MB on lavapipe) and new bind groups, so freed
// buffers are kept by size class and handed out again in last-in first-out order: a training loop that allocates in the
// same order every step then gets the same buffers, and every bind group is found in the cache.

/** A GPU buffer with the identity that caches use as key. */
export interface PooledBuffer {
  id: number;
  gpu: GPUBuffer;
  readonly size: number;
  /** Counts how often it was handed out: who kept the number sees whether it is still the same tensor's. */
  generation: number;
  /** Number of the submit that used it last: an upload into a buffer of the still open one must flush first. */
  lastSubmit: number;
}

/** What `device.memory()` reports. Bytes count size classes, so they are what the GPU really holds. */
export interface MemoryReport {
  /** Live storages (tensors that share a storage count once). */
  tensors: number;
  /** Bytes of live storages. */
  bytes: number;
  /** Bytes kept for reuse: in the pool, and in textures that operands are copied into. */
  pooled: number;
  /** Highest sum of `bytes` so far. */
  peakBytes: number;
}

/** Four classes per power of two: at most 25 % is wasted, and sizes that vary a little share a class. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(8, Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / step) * step;
}

/** Bytes of the largest buffer: bindings are whole vec4s. */
export const largestBuffer = ({ maxBufferSize }: GPUSupportedLimits): number => maxBufferSize - (maxBufferSize % 16);

/** The size of a buffer for `bytes`: their class. The largest ends at the limit, often one short of a power of two (2^31 - 4, say). */
export const bufferSize = (bytes: number, limits: GPUSupportedLimits): number =>
  Math.min(sizeClass(bytes), largestBuffer(limits));

export class BufferPool {
  readonly #device: GPUDevice;
  readonly #free = new Map<number, PooledBuffer[]>();
  readonly #onDestroy: () => void;
  #nextId = 1;
  #report: MemoryReport = { tensors: 0, bytes: 0, pooled: 0, peakBytes: 0 };

  constructor(device: GPUDevice, onDestroy: () => void) {
    this.#device = device;
    this.#onDestroy = onDestroy;
  }

  /** A buffer of at least `bytes`, with undefined content; `bytes` is at most the adapter's largest buffer. */
  allocate(bytes: number): PooledBuffer {
    const size = bufferSize(bytes, this.#device.limits);
    const buffer = this.#free.get(size)?.pop();
    const report = this.#report;
    report.tensors++;
    report.bytes += size;
    report.peakBytes = Math.max(report.peakBytes, report.bytes);
    if (buffer) {
      report.pooled -= size;
      buffer.generation++;
      return buffer;
    }
    const usage = GPU_STORAGE | GPU_COPY_SRC | GPU_COPY_DST;
    return { id: this.#nextId++, gpu: this.#device.createBuffer({ size, usage }), size, generation: 0, lastSubmit: -1 };
  }

  /** Takes a buffer back for reuse. Work that is already recorded may still use it: the queue keeps the order. */
  release(buffer: PooledBuffer): void {
    buffer.generation++;
    this.#report.tensors--;
    this.#report.bytes -= buffer.size;
    this.#report.pooled += buffer.size;
    const list = this.#free.get(buffer.size);
    if (list) list.push(buffer);
    else this.#free.set(buffer.size, [buffer]);
  }

  /** Gives the pooled memory back to the system. */
  trim(): void {
    for (const list of this.#free.values()) for (const buffer of list) buffer.gpu.destroy();
    this.#free.clear();
    this.#report.pooled = 0;
    this.#onDestroy();
  }

  memory(): MemoryReport {
    return { ...this.#report };
  }

  resetPeak(): void {
    this.#report.peakBytes = this.#report.bytes;
  }
}

// WebGPU's usage flags by value: the constants live on globalThis in browsers and in a package in Node, the numbers are in the specification.
export const GPU_MAP_READ = 0x0001;
export const GPU_COPY_SRC = 0x0004;
export const GPU_COPY_DST = 0x0008;
export const GPU_UNIFORM = 0x0040;
export const GPU_STORAGE = 0x0080;
export const GPU_INDIRECT = 0x0100;
export const GPU_QUERY_RESOLVE = 0x0200;
/** Of textures. */
export const GPU_STORAGE_BINDING = 0x0008;
export const GPU_TEXTURE_COPY_DST = 0x0002;
