// Timestamps around dispatches.
import { GPU_COPY_DST, GPU_COPY_SRC, GPU_MAP_READ, GPU_QUERY_RESOLVE } from "./buffers.ts";
import { bytesOf, type Dispatch } from "./dispatch.ts";
import { unpackParams, type CompiledKernel } from "./kernel.ts";

export interface KernelTime {
  /** The kernel's file, and in braces what replaces its named declarations. */
  readonly kernel: string;
  readonly milliseconds: number;
  /** 0 where the launch does not say. */
  readonly flops: number;
  /** Of all its bindings, whole. */
  readonly bytes: number;
  readonly workgroups: number;
  /** The numbers of its `Params`. */
  readonly params: Readonly<Record<string, readonly number[]>>;
}

/** One dispatch: its time, and what ran. */
export interface DispatchTime extends KernelTime {
  /** The workgroups as they were dispatched: more than one row where one dimension is not enough. */
  readonly grid: readonly [number, number];
  /** With its file, its constants and its text. */
  readonly variant: CompiledKernel;
  /** Bytes of each of its bindings, in their order. */
  readonly bound: readonly number[];
}

export interface ProfileOptions {
  /**
   * "timestamps" (default) needs an adapter that has them; browsers round theirs to 0.1 ms. "waiting" runs `work` first and then each of
   * its dispatches again, alone and several times over, until the GPU reports them done: that includes some waiting, and whatever they add
   * to is added to again.
   */
  readonly by?: "timestamps" | "waiting";
  /** "waiting" ends early where it aborts: what has not been timed is left out. */
  readonly signal?: AbortSignal;
  /** Told by "waiting" how many of the dispatches are timed. */
  readonly onProgress?: (done: number, count: number) => void;
}

const CAPACITY = 2048;

/** Collects one pair of timestamps per compute pass. WebGPU has timestamps at pass boundaries only, hence a pass per dispatch. */
export class Profiler {
  readonly #gpu: GPUDevice;
  readonly #chunks: { readback: GPUBuffer; rows: Dispatch[]; used: readonly (GPUBuffer | GPUQuerySet)[] }[] = [];
  #queries: GPUQuerySet | null = null;
  #rows: Dispatch[] = [];

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  get full(): boolean {
    return this.#rows.length * 2 >= CAPACITY;
  }

  /** For its pass: both stamps. For an empty one before it and for its own, where something goes between: one each. */
  next(dispatch: Dispatch): Readonly<Record<"begin" | "end" | "both", GPUComputePassDescriptor>> {
    const querySet = (this.#queries ??= this.#gpu.createQuerySet({ type: "timestamp", count: CAPACITY }));
    const index = this.#rows.push(dispatch) * 2 - 2;
    const [begin, end] = [{ beginningOfPassWriteIndex: index }, { endOfPassWriteIndex: index + 1 }];
    return {
      begin: { timestampWrites: { querySet, ...begin } },
      end: { timestampWrites: { querySet, ...end } },
      both: { timestampWrites: { querySet, ...begin, ...end } },
    };
  }

  /** Called at every submit. */
  resolve(encoder: GPUCommandEncoder): void {
    if (!this.#queries || this.#rows.length === 0) return;
    const count = this.#rows.length * 2;
    const resolved = this.#gpu.createBuffer({ size: count * 8, usage: GPU_QUERY_RESOLVE | GPU_COPY_SRC });
    const readback = this.#gpu.createBuffer({ size: count * 8, usage: GPU_MAP_READ | GPU_COPY_DST });
    encoder.resolveQuerySet(this.#queries, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readback, 0, count * 8);
    this.#chunks.push({ readback, rows: this.#rows, used: [this.#queries, resolved, readback] });
    this.#queries = null;
    this.#rows = [];
  }

  async times(settle: <T>(promise: Promise<T>) => Promise<T>): Promise<DispatchTime[]> {
    const times: DispatchTime[] = [];
    let ended = 0n;
    for (const { readback, rows, used } of this.#chunks) {
      await settle(readback.mapAsync(1));
      const stamps = new BigInt64Array(readback.getMappedRange());
      const own = ownTimes(stamps, ended);
      rows.forEach((row, i) => times.push(timeOf(row, own.milliseconds[i])));
      ended = own.ended;
      for (const each of used) each.destroy();
    }
    return times;
  }
}

/**
 * The times of passes from their pairs of stamps, in nanoseconds. One may be stamped as begun while it still waits for the one before: that
 * time is the other's, and all together make the span.
 *
 * @param ended when the passes before these had ended
 */
export function ownTimes(stamps: BigInt64Array, ended: bigint): { milliseconds: number[]; ended: bigint } {
  const milliseconds: number[] = [];
  for (let i = 0; i < stamps.length; i += 2) {
    const [begin, end] = [stamps[i], stamps[i + 1]];
    const own = end - (begin > ended ? begin : ended);
    milliseconds.push(own > 0n ? Number(own) / 1e6 : 0);
    if (end > ended) ended = end;
  }
  return { milliseconds, ended };
}

export const timeOf = ({ kernel, flops, buffers, groups, params }: Dispatch, milliseconds: number): DispatchTime => ({
  kernel: kernel.label,
  milliseconds,
  flops,
  bytes: bytesOf(buffers),
  workgroups: groups[0] * groups[1],
  params: params ? unpackParams(kernel.source, params) : {},
  grid: groups,
  variant: kernel,
  bound: buffers.map(({ size }) => size),
});
