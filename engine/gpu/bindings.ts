// What a dispatch binds besides its pipeline: a bind group, which is costly to make and therefore kept, and a place in the one
// uniform buffer that all dispatches of a submit share.
import { GPU_COPY_DST, GPU_UNIFORM } from "./buffers.ts";
import type { BoundBuffer, PreparedBindings } from "./dispatch.ts";
import type { CompiledKernel } from "./kernel.ts";
import { Texels, type TexelTexture } from "./texels.ts";

const PARAM_BYTES = 1 << 18;

/** The `Params` of the dispatches of one submit, side by side: they go to the GPU in one write, and dispatches bind them by offset. */
export class ParamArena {
  readonly buffer: GPUBuffer;
  readonly #bytes = new Uint8Array(PARAM_BYTES);
  readonly #align: number;
  #used = 0;

  constructor(device: GPUDevice) {
    this.buffer = device.createBuffer({ label: "params", size: PARAM_BYTES, usage: GPU_UNIFORM | GPU_COPY_DST });
    this.#align = device.limits.minUniformBufferOffsetAlignment;
  }

  /** Whether `params` still fit; if not, submit first. */
  holds(params: Uint8Array): boolean {
    return this.#used + params.length <= PARAM_BYTES;
  }

  /** Their offset. */
  place(params: Uint8Array): number {
    const offset = this.#used;
    this.#bytes.set(params, offset);
    this.#used = Math.ceil((offset + params.length) / this.#align) * this.#align;
    return offset;
  }

  /** Writes what was placed, right before the submit that reads it, and starts anew. */
  upload(queue: GPUQueue): void {
    if (this.#used > 0) queue.writeBuffer(this.buffer, 0, this.#bytes, 0, Math.min(this.#used, PARAM_BYTES));
    this.#used = 0;
  }
}

/** Repeated steps find their bind groups again; work that never repeats (other sizes each time) must not collect them forever. */
const MOST_BIND_GROUPS = 20_000;

/** Bind groups by kernel and buffers. */
export class BindGroupCache {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  /** What kernels read instead of some of the buffers. */
  readonly texels: Texels;
  readonly #groups = new Map<string, GPUBindGroup>();

  constructor(device: GPUDevice, params: GPUBuffer) {
    this.#device = device;
    this.#params = params;
    this.texels = new Texels(device);
  }

  get(kernel: CompiledKernel, buffers: readonly BoundBuffer[]): PreparedBindings {
    const textures = this.texels.for(kernel, buffers);
    let key = `${kernel.id}`;
    for (const { id } of textures) key += `/${id}`;
    for (const { buffer, offset, size } of buffers) key += `|${buffer.id}:${offset}:${size}`;
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MOST_BIND_GROUPS) this.#groups.clear();
      this.#groups.set(key, (group = this.#create(kernel, buffers, textures)));
    }
    return { group, textures };
  }

  /** Forgets them all: they would keep destroyed buffers. */
  clear(): void {
    this.#groups.clear();
  }

  /** One that is not kept here. */
  prepare(kernel: CompiledKernel, buffers: readonly BoundBuffer[]): PreparedBindings {
    const textures = this.texels.for(kernel, buffers);
    return { group: this.#create(kernel, buffers, textures), textures };
  }

  #create(kernel: CompiledKernel, buffers: readonly BoundBuffer[], textures: readonly TexelTexture[]): GPUBindGroup {
    const entries: GPUBindGroupEntry[] = buffers.map(({ buffer, offset, size }, binding) => {
      const texel = kernel.texels.findIndex((other) => other.binding === binding);
      return { binding, resource: texel < 0 ? { buffer: buffer.gpu, offset, size } : textures[texel].view };
    });
    if (kernel.source.params.size > 0) {
      const resource = { buffer: this.#params, size: kernel.source.params.size };
      entries.push({ binding: entries.length, resource });
    }
    return this.#device.createBindGroup({ label: kernel.label, layout: kernel.layout, entries });
  }
}
