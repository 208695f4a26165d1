// Operands that kernels load through textures instead of buffers. For a load from a buffer llvmpipe tests lane after lane whether it is
// alive, number after number whether it is in bounds, and inserts them one by one: ten instructions a number. A load from a storage texture brings the
// four channels of all lanes by eight wide loads and a transposition: two. Copying an operand there takes a memcpy (14 GB/s); it
// pays where the loads are most of a kernel's time. The kernels' texts are the same but for two lines, which `loadTexels` replaces.
import { GPU_STORAGE_BINDING, GPU_TEXTURE_COPY_DST } from "./buffers.ts";
import type { BoundBuffer } from "./dispatch.ts";
import type { CompiledKernel } from "./kernel.ts";

/** Texels in a row, a power of two: element i of an array is in row i / ROW. */
export const ROW = 4096;

/** How a texture holds the elements of an array. */
export interface TexelFormat {
  readonly format: GPUTextureFormat;
  readonly bytes: number;
  /** Those of what `textureLoad` returns. */
  readonly components: string;
}

/** By the type of the elements. */
const FORMATS: Readonly<Record<string, TexelFormat>> = {
  vec4f: { format: "rgba32float", bytes: 16, components: "" },
  vec2f: { format: "rg32float", bytes: 8, components: ".xy" },
  vec2u: { format: "rg32uint", bytes: 8, components: ".xy" },
  u32: { format: "r32uint", bytes: 4, components: ".x" },
};

const declarationOf = (name: string): RegExp => new RegExp(`var<storage, read> ${name}: array<(\\w+)>;`);

/** The format of a binding of the kernel's text. */
export function texelFormat(wgsl: string, name: string): TexelFormat {
  const element = declarationOf(name).exec(wgsl)?.[1] ?? "";
  const type = new RegExp(`^alias ${element} = (\\w+);`, "m").exec(wgsl)?.[1] ?? element;
  const format = FORMATS[type];
  if (!format) throw new Error(`${name} is not read as an array of ${Object.keys(FORMATS).join(", ")}: no texels`);
  return format;
}

/**
 * The kernel's text with the binding in a storage texture instead of a buffer. The kernel reads it by `fn load_name(i: u32) -> T { return
 * name[i]; }` alone: that loads the texel.
 */
export function loadTexels(wgsl: string, name: string): string {
  const { format, components } = texelFormat(wgsl, name);
  const load = new RegExp(`^(fn load_${name}\\(i: u32\\) -> \\w+ { return )${name}\\[i\\]; }$`, "m");
  const uses = wgsl.replace(/\/\/.*/g, "").match(new RegExp(`(?<![\\w.])${name}\\[`, "g"))?.length;
  if (!load.test(wgsl) || uses !== 1) throw new Error(`${name} is read otherwise than by load_${name}(): no texels`);
  return wgsl
    .replace(declarationOf(name), `var ${name}: texture_storage_2d<${format}, read>;`)
    .replace(load, `$1textureLoad(${name}, vec2u(i & ${ROW - 1}u, i >> ${Math.log2(ROW)}u))${components}; }`);
}

/** Bytes that a texture of any of the formats holds: 256 MiB where it may have 16,384 rows. */
export const mostTexelBytes = ({ maxTextureDimension2D }: GPUSupportedLimits): number =>
  4 * ROW * maxTextureDimension2D;

/** A texture that operands are copied into, one after the other. */
export interface TexelTexture {
  readonly id: number;
  readonly gpu: GPUTexture;
  readonly view: GPUTextureView;
  readonly rows: number;
}

/** A texture for each format, and for each operand of a dispatch: as large as the largest that it has held. */
export class Texels {
  readonly #gpu: GPUDevice;
  readonly #textures = new Map<string, TexelTexture>();
  #nextId = 0;
  /** Bytes of these textures. */
  bytes = 0;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** The textures of a dispatch, in the order of `kernel.texels`. */
  for({ texels }: CompiledKernel, buffers: readonly BoundBuffer[]): readonly TexelTexture[] {
    return texels.map(({ binding, format }, i) => {
      const rows = Math.ceil(buffers[binding].size / (ROW * format.bytes));
      const key = `${i} ${format.format}`;
      const texture = this.#textures.get(key);
      if (texture && texture.rows >= rows) return texture;
      // The smaller one is not destroyed: recorded steps hold it. Powers of two: all of them together take no more than the largest.
      const larger = this.#create(format, 2 ** Math.ceil(Math.log2(rows)));
      this.bytes += format.bytes * ROW * (larger.rows - (texture?.rows ?? 0));
      this.#textures.set(key, larger);
      return larger;
    });
  }

  /** Lets the textures go; recorded steps keep theirs. */
  trim(): void {
    this.#textures.clear();
    this.bytes = 0;
  }

  #create({ format }: TexelFormat, wanted: number): TexelTexture {
    const rows = Math.min(wanted, this.#gpu.limits.maxTextureDimension2D);
    const usage = GPU_STORAGE_BINDING | GPU_TEXTURE_COPY_DST;
    const gpu = this.#gpu.createTexture({ label: "texels", size: [ROW, rows], format, usage });
    return { id: this.#nextId++, gpu, view: gpu.createView(), rows };
  }
}

/** Copies the operands of a dispatch into its textures. */
export function copyTexels(
  encoder: GPUCommandEncoder,
  { texels }: CompiledKernel,
  buffers: readonly BoundBuffer[],
  textures: readonly TexelTexture[],
): void {
  texels.forEach(({ binding, format }, i) => {
    const { buffer, offset, size } = buffers[binding];
    const texture = textures[i].gpu;
    const bytesPerRow = ROW * format.bytes;
    const rows = Math.floor(size / bytesPerRow);
    const rest = (size % bytesPerRow) / format.bytes;
    if (rows > 0) encoder.copyBufferToTexture({ buffer: buffer.gpu, offset, bytesPerRow }, { texture }, [ROW, rows]);
    if (rest > 0) {
      const from = { buffer: buffer.gpu, offset: offset + rows * bytesPerRow };
      encoder.copyBufferToTexture(from, { texture, origin: [0, rows] }, [rest, 1]);
    }
  });
}
