// The device: its memory, what runs on it and in which order, uploads and readbacks.
import { settle } from "#open-gpu";
import type { GpuAccess } from "./access.ts";
import { BindGroupCache, ParamArena } from "./bindings.ts";
import {
  BufferPool,
  GPU_COPY_DST,
  GPU_MAP_READ,
  GPU_STORAGE,
  type MemoryReport,
  type PooledBuffer,
} from "./buffers.ts";
import { Compilers } from "./compilers.ts";
import type { DeviceInfo, KernelFamily, SubgroupMatrix } from "./device-info.ts";
import type { BoundBuffer, Dispatch, PreparedBindings, Recorder } from "./dispatch.ts";
import { KernelCache, type CompiledKernel } from "./kernel.ts";
import { KernelChoices } from "../choices.ts";
import { Profiler, type DispatchTime, type ProfileOptions } from "./profiler.ts";
import { CommandStream } from "./stream.ts";
import { timeByWaiting } from "./waiting.ts";

export class Device implements Disposable {
  readonly gpu: GPUDevice;
  readonly info: DeviceInfo;
  readonly limits: GPUSupportedLimits;
  /** Whether `profile()` gives times of kernels, to the microsecond or so. */
  readonly exactTimes: boolean;
  /** Chosen by adapter; `openDevice({ family })` overrides it. */
  family: KernelFamily;
  /**
   * Whether 3 x 3 convolutions use Winograd's algorithm: true (default) where it is faster, false never (to compare, or for the
   * last digits), 2 or 4 with tiles of that size wherever it applies (for tests). The portable kernels do not have it.
   */
  winograd: boolean | 2 | 4 = true;
  /**
   * Winograd's transforms of a layer's input (2.25 times its size) and, on software GPUs, of its weights (4 times) are kept from the
   * forward pass for the gradients where each takes at most this many bytes; a larger one is computed again, to the same bits. 0 spares
   * memory. Default 64 MiB, on real GPUs, whose batches are larger, 512.
   */
  keptTransformBytes: number;
  /**
   * The subgroup matrices that f16 operands are multiplied as. Set on opening: the first size that the adapter lists, the kernels know,
   * and whose products came out right. Null does without (to compare).
   */
  matrix: SubgroupMatrix | null = null;
  /** Why sizes that the adapter lists are not used. */
  matrixProblems: readonly string[] = [];
  /**
   * Whether kernels load some operands through textures, into which they are copied before: true on llvmpipe, where that is faster. Results are
   * the same, bit for bit.
   */
  texels: boolean;
  readonly kernels: KernelCache;
  /** Which kernel does what several can do. */
  readonly choices = new KernelChoices();
  /** Set while a step is recorded: nothing runs then. */
  recorder: Recorder | null = null;
  readonly #buffers: BufferPool;
  #access: GpuAccess | null;
  /** Where the driver compiles no earlier than at the first dispatch. */
  readonly #compilers: Compilers | null;
  readonly #bindGroups: BindGroupCache;
  readonly #stream: CommandStream;
  #error: Error | null = null;
  #disposed = false;
  readonly #disposers: (() => void)[] = [];

  /** @param another opens a further device on the same adapter */
  constructor(
    gpu: GPUDevice,
    access: GpuAccess,
    info: DeviceInfo,
    family: KernelFamily,
    another: () => Promise<GPUDevice>,
  ) {
    this.gpu = gpu;
    this.#access = access;
    this.info = info;
    this.limits = gpu.limits;
    this.exactTimes = access.exactTimes && gpu.features.has("timestamp-query");
    this.family = family;
    this.keptTransformBytes = (info.software ? 64 : 512) * 2 ** 20;
    const llvmpipe = /llvmpipe/.test(info.description || info.name);
    this.texels = llvmpipe;
    this.#compilers = llvmpipe ? new Compilers(gpu, access.cores, another) : null;
    this.kernels = new KernelCache(gpu);
    this.#buffers = new BufferPool(gpu, () => this.#bindGroups.clear());
    const params = new ParamArena(gpu);
    this.#bindGroups = new BindGroupCache(gpu, params.buffer);
    this.#stream = new CommandStream(gpu, params, this.#bindGroups);
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#error ??= new Error(`GPU: ${event.error.message.trim()}`);
    });
    void gpu.lost.then((reason) => {
      if (!this.#disposed) this.#error ??= new Error(`GPU: the device was lost (${reason.message || reason.reason})`);
    });
  }

  allocate(bytes: number): PooledBuffer {
    this.#assertOpen();
    return this.recorder ? this.recorder.allocate(bytes) : this.#buffers.allocate(bytes);
  }

  release(buffer: PooledBuffer): void {
    if (this.#disposed) return;
    if (this.recorder) this.recorder.release(buffer);
    else this.#buffers.release(buffer);
  }

  memory(): MemoryReport {
    const report = this.#buffers.memory();
    return { ...report, pooled: report.pooled + this.#bindGroups.texels.bytes };
  }

  /**
   * Tries whether so many more bytes can be had, and gives them back. Software adapters promise more than there is: there it says
   * nothing.
   */
  async canAllocate(bytes: number): Promise<boolean> {
    this.#assertOpen();
    this.gpu.pushErrorScope("out-of-memory");
    const piece = Math.min(2 ** 30, this.limits.maxBufferSize);
    const buffers: GPUBuffer[] = [];
    for (let left = bytes; left > 0; left -= piece) {
      const size = Math.ceil(Math.min(piece, left) / 4) * 4;
      buffers.push(this.gpu.createBuffer({ label: "trial", size, usage: GPU_STORAGE }));
    }
    const error = await settle(this.gpu.popErrorScope());
    for (const buffer of buffers) buffer.destroy();
    return error === null;
  }

  resetPeakMemory(): void {
    this.#buffers.resetPeak();
  }

  /** Frees pooled buffers, and lets go of the textures that operands are copied into. */
  trim(): void {
    this.flush();
    this.#buffers.trim();
    this.#bindGroups.texels.trim();
  }

  /** Dispatches encoded since the device was opened. */
  get dispatches(): number {
    return this.#stream.dispatches;
  }

  /** Compiles kernels before they are needed, several at a time. */
  async compile(kernels: readonly CompiledKernel[]): Promise<void> {
    await Promise.all(kernels.map((kernel) => kernel.compile()));
    await this.#compilers?.compile(kernels);
  }

  /** Bindings for dispatches that are replayed: they are not forgotten as the cache's may be. */
  prepare(kernel: CompiledKernel, buffers: readonly BoundBuffer[]): PreparedBindings {
    return this.#bindGroups.prepare(kernel, buffers);
  }

  /** Encodes one dispatch into the open pass. */
  encode(dispatch: Dispatch): void {
    if (this.recorder) return this.recorder.encode(dispatch);
    this.#assertOpen();
    this.#stream.encode(dispatch);
  }

  /** Submits what is recorded. */
  flush(): void {
    this.#stream.flush();
  }

  /** Copies bytes to the GPU. `queue.writeBuffer` overtakes unsubmitted dispatches, so a buffer in use is flushed first. */
  upload(buffer: PooledBuffer, data: ArrayBufferView, offset = 0): void {
    this.#assertOpen();
    if (this.recorder) return this.recorder.upload(buffer, data, offset);
    if (this.#stream.uses(buffer)) this.flush();
    const { byteLength } = data;
    const whole = byteLength - (byteLength % 4); // not by bits: those are lost from 2 GiB on
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, byteLength);
    // Dawn stages a write in one piece; more than 4 MB would take a staging allocation of that size each time.
    const CHUNK = 1 << 22;
    for (let at = 0; at < whole; at += CHUNK) {
      this.gpu.queue.writeBuffer(buffer.gpu, offset + at, bytes, at, Math.min(CHUNK, whole - at));
    }
    if (whole < byteLength) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      this.gpu.queue.writeBuffer(buffer.gpu, offset + whole, tail);
    }
  }

  /** Reads bytes back. The copy is ordered after everything recorded so far. */
  async read(buffer: PooledBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    this.#assertOpen();
    this.refuseWhileRecording();
    const size = Math.ceil(bytes / 4) * 4;
    const staging = this.gpu.createBuffer({
      label: "readback",
      size: Math.max(size, 4),
      usage: GPU_MAP_READ | GPU_COPY_DST,
    });
    this.#stream.copyOut(buffer.gpu, offset, staging, size);
    try {
      await settle(staging.mapAsync(1));
    } catch (cause) {
      staging.destroy();
      if (this.#disposed) throw new Error("device: it was disposed while data was being read back", { cause });
      this.#throwPending();
      throw cause;
    }
    const result = staging.getMappedRange().slice(0, bytes);
    staging.unmap();
    staging.destroy();
    this.#throwPending();
    return result;
  }

  /** @throws where a captured step is being recorded: there is nothing to read yet */
  refuseWhileRecording(): void {
    if (!this.recorder) return;
    throw new Error("capture: a captured step cannot read results back; return the tensor and read it after the call");
  }

  /** Submits and waits until the GPU has done everything. */
  async idle(): Promise<void> {
    await this.#stream.finish(() => settle(this.gpu.queue.onSubmittedWorkDone()));
    this.#throwPending();
  }

  /** Runs `work` and returns the time of each dispatch, in order. Slower than normal running: passes are not shared. */
  async profile(work: () => void | Promise<void>, options: ProfileOptions = {}): Promise<DispatchTime[]> {
    if (options.by === "waiting") return timeByWaiting(this, await this.#traced(work), options);
    if (!this.gpu.features.has("timestamp-query")) {
      throw new Error('profile: this adapter has no timestamp-query feature; { by: "waiting" } does without');
    }
    this.flush();
    const profiler = (this.#stream.profiler = new Profiler(this.gpu));
    try {
      await work();
      this.flush();
    } finally {
      this.#stream.profiler = null;
    }
    return profiler.times(settle);
  }

  /** Runs `work` and returns its dispatches. */
  async #traced(work: () => void | Promise<void>): Promise<readonly Dispatch[]> {
    const trace: Dispatch[] = (this.#stream.trace = []);
    try {
      await work();
    } finally {
      this.#stream.trace = null;
    }
    return trace;
  }

  /** Runs when the device is disposed. */
  onDispose(action: () => void): void {
    this.#disposers.push(action);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Destroys the device and everything on it. In Node the process can end afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#stream.drop();
    for (const action of this.#disposers) action();
    this.#compilers?.dispose();
    this.gpu.destroy();
    this.#access = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Throws an error that the GPU reported since the last call. Readbacks and `idle()` call it. */
  #throwPending(): void {
    const error = this.#error;
    this.#error = null;
    if (error) throw error;
  }

  #assertOpen(): void {
    if (this.#disposed || !this.#access) throw new Error("device: it has been disposed");
  }
}
