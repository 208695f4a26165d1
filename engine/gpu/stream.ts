// The open command encoder, with one compute pass that every dispatch goes into, and the submits: few, since each costs.
import type { BindGroupCache, ParamArena } from "./bindings.ts";
import type { PooledBuffer } from "./buffers.ts";
import type { Dispatch } from "./dispatch.ts";
import { Pace } from "./pace.ts";
import type { Profiler } from "./profiler.ts";
import { copyTexels } from "./texels.ts";

export class CommandStream {
  readonly #gpu: GPUDevice;
  readonly #params: ParamArena;
  readonly #bindGroups: BindGroupCache;
  readonly #pace = new Pace();
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #submit = 0;
  /** The pace's work when the last submit was made. */
  #submitted = 0;
  #dispatches = 0;
  /** Set while dispatches are timed: each then has a pass of its own. */
  profiler: Profiler | null = null;
  /** Set while dispatches are listed. */
  trace: Dispatch[] | null = null;

  constructor(gpu: GPUDevice, params: ParamArena, bindGroups: BindGroupCache) {
    this.#gpu = gpu;
    this.#params = params;
    this.#bindGroups = bindGroups;
  }

  /** Dispatches encoded so far. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Whether a dispatch that is not submitted yet binds the buffer. */
  uses(buffer: PooledBuffer): boolean {
    return buffer.lastSubmit === this.#submit;
  }

  encode(dispatch: Dispatch): void {
    const { kernel, buffers, params, groups } = dispatch;
    const { group, textures } = dispatch.prepared ?? this.#bindGroups.get(kernel, buffers);
    if (params && !this.#params.holds(params)) this.flush();
    this.#encoder ??= this.#gpu.createCommandEncoder();
    const stamps = this.profiler?.next(dispatch);
    if (textures.length > 0) {
      this.#endPass();
      if (stamps) this.#encoder.beginComputePass(stamps.begin).end(); // the copies count as the kernel's time
      copyTexels(this.#encoder, kernel, buffers, textures);
    }
    const pass = stamps
      ? this.#encoder.beginComputePass(textures.length > 0 ? stamps.end : stamps.both)
      : (this.#pass ??= this.#encoder.beginComputePass());
    pass.setPipeline(kernel.pipeline);
    if (params) pass.setBindGroup(0, group, [this.#params.place(params)]);
    else pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(groups[0], groups[1]);
    if (this.profiler) pass.end();
    for (const { buffer } of buffers) buffer.lastSubmit = this.#submit;
    this.trace?.push(dispatch);
    this.#dispatches++;
    this.#pace.add(dispatch);
    if (this.#pace.work - this.#submitted > this.#pace.most || this.profiler?.full) this.flush();
  }

  /** Copies bytes into a buffer that can be mapped, after everything encoded so far, and submits. */
  copyOut(from: GPUBuffer, offset: number, to: GPUBuffer, size: number): void {
    this.#endPass();
    this.#encoder ??= this.#gpu.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from, offset, to, 0, size);
    this.flush();
  }

  /** Submits what is encoded. */
  flush(): void {
    if (!this.#encoder) return;
    this.#endPass();
    this.profiler?.resolve(this.#encoder);
    this.#params.upload(this.#gpu.queue);
    this.#gpu.queue.submit([this.#encoder.finish()]);
    this.#encoder = null;
    this.#submitted = this.#pace.work;
    this.#submit++;
  }

  /** Submits what is encoded, and calls `wait` to wait until all is done. */
  async finish(wait: () => Promise<unknown>): Promise<void> {
    this.flush();
    const { work } = this.#pace;
    await wait();
    this.#pace.done(work, performance.now());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
  }

  /** Forgets what is encoded: the device is going. */
  drop(): void {
    this.#encoder = null;
    this.#pass = null;
  }
}
