// Compiling ahead of the first dispatch, where a driver does not: llvmpipe makes machine code when a pipeline is first dispatched, on the one thread
// that runs its device's commands, and that takes nearly all of a cold first step. Further devices have threads of their own. What one of them has
// compiled, the device that computes finds in Mesa's cache on the disk.
import { settle } from "#open-gpu";
import { GPU_INDIRECT, GPU_STORAGE, GPU_STORAGE_BINDING, GPU_UNIFORM } from "./buffers.ts";
import type { CompiledKernel } from "./kernel.ts";

/** More than any kernel's `Params` or element takes. */
const SCRATCH_BYTES = 4096;
/** Devices at work at a time: each takes some 40 MB, and no net has kernels for many more. */
const MOST_DEVICES = 8;
/** What loading a net's kernels from the cache takes. Helpers come when it takes longer. */
const PATIENCE_MS = 250;

export class Compilers {
  readonly #gpu: GPUDevice;
  readonly #cores: number;
  readonly #open: () => Promise<GPUDevice>;
  readonly #patience: number;
  readonly #begun = new WeakSet<CompiledKernel>();
  readonly #queue: CompiledKernel[] = [];
  #working: Promise<void> | null = null;

  /**
   * @param gpu the device that computes: it compiles too
   * @param cores processors
   * @param open opens another device on the same adapter
   * @param patience milliseconds before it is asked to
   */
  constructor(gpu: GPUDevice, cores: number, open: () => Promise<GPUDevice>, patience = PATIENCE_MS) {
    this.#gpu = gpu;
    this.#cores = cores;
    this.#open = open;
    this.#patience = patience;
  }

  /** Has machine code made of kernels whose pipelines are there, each once. What a helper fails at is left to the first dispatch. */
  async compile(kernels: readonly CompiledKernel[]): Promise<void> {
    for (const kernel of kernels) {
      if (this.#begun.has(kernel)) continue;
      this.#begun.add(kernel);
      this.#queue.push(kernel);
    }
    while (this.#working !== null || this.#queue.length > 0) {
      await (this.#working ??= this.#work().finally(() => (this.#working = null)));
    }
  }

  async #work(): Promise<void> {
    const own = this.#empty(this.#gpu);
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([own, new Promise((done) => (timer = setTimeout(done, this.#patience)))]);
    clearTimeout(timer);
    const helpers = await this.#openHelpers();
    await Promise.all([own, ...helpers.map((gpu) => this.#empty(gpu).catch(() => undefined))]);
    for (const gpu of helpers) gpu.destroy();
  }

  async #openHelpers(): Promise<GPUDevice[]> {
    const count = Math.min(this.#cores, MOST_DEVICES, 1 + this.#queue.length) - 1;
    const opened = await Promise.all(Array.from({ length: count }, () => this.#open().catch(() => null)));
    const helpers = opened.filter((gpu) => gpu !== null);
    for (const gpu of helpers) gpu.addEventListener("uncapturederror", (event) => event.preventDefault());
    return helpers;
  }

  async #empty(gpu: GPUDevice): Promise<void> {
    for (let kernel = this.#queue.shift(); kernel; kernel = this.#queue.shift()) {
      const own = gpu === this.#gpu ? kernel : kernel.on(gpu);
      await own.compile();
      await dispatchNothing(gpu, own);
    }
  }

  /** Leaves what has not begun. */
  dispose(): void {
    this.#queue.length = 0;
  }
}

/** A dispatch of no workgroups; from a buffer, since Dawn remarks on one whose count is known to be zero. */
async function dispatchNothing(gpu: GPUDevice, { layout, pipeline, source, texels }: CompiledKernel): Promise<void> {
  const scratch: (GPUBuffer | GPUTexture)[] = [];
  const buffer = (usage: number): GPUBuffer => {
    const made = gpu.createBuffer({ label: "nothing", size: SCRATCH_BYTES, usage });
    scratch.push(made);
    return made;
  };
  const entries: GPUBindGroupEntry[] = source.bindings.map((_, binding) => {
    const texel = texels.find((other) => other.binding === binding);
    if (!texel) return { binding, resource: { buffer: buffer(GPU_STORAGE) } };
    const texture = gpu.createTexture({ size: [1], format: texel.format.format, usage: GPU_STORAGE_BINDING });
    scratch.push(texture);
    return { binding, resource: texture.createView() };
  });
  const hasParams = source.params.size > 0;
  if (hasParams) {
    entries.push({ binding: entries.length, resource: { buffer: buffer(GPU_UNIFORM) } });
  }
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.createBindGroup({ layout, entries }), hasParams ? [0] : []);
  pass.dispatchWorkgroupsIndirect(buffer(GPU_INDIRECT), 0);
  pass.end();
  gpu.queue.submit([encoder.finish()]);
  await settle(gpu.queue.onSubmittedWorkDone());
  for (const each of scratch) each.destroy();
}
