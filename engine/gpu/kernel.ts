// From a kernel's text to a pipeline: specialisation by named declarations, and the caches.
import { loadTexels, texelFormat, type TexelFormat } from "./texels.ts";

/** What scripts/embed-shaders.js writes per .wgsl file. */
export interface KernelSource {
  readonly name: string;
  readonly wgsl: string;
  readonly bindings: readonly { readonly name: string; readonly access: string }[];
  readonly params: { readonly size: number; readonly fields: Readonly<Record<string, ParamField>> };
  readonly declarations: readonly string[];
  readonly subgroups: boolean;
  /** Whether it multiplies subgroup matrices of f16. */
  readonly matrices: boolean;
}

/** A binding that a variant reads from a texture. */
export interface TexelBinding {
  readonly binding: number;
  readonly format: TexelFormat;
}

export interface ParamField {
  readonly offset: number;
  readonly type: string;
  /** Number of 4-byte values (more than one for vectors and arrays of vec4). */
  readonly length: number;
}

/** Values for named declarations: a number or boolean for a `const`, text for an `alias` or for the body of a one-line `fn`. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/**
 * Replaces named top-level declarations. `const NAME: type = value;` takes a number or boolean, `alias NAME = type;` a type,
 * and a one-line `fn NAME(...) -> T { return ...; }` the expression that it returns. A name that is not declared throws:
 * a misspelt constant would otherwise silently leave the default.
 */
export function specialize(kernel: KernelSource, constants: Constants): string {
  let text = kernel.wgsl;
  for (const [name, value] of Object.entries(constants)) {
    const declaration = new RegExp(
      `^(const ${name}\\s*(?::\\s*(\\w+))?\\s*=\\s*)[^;]*;|^(alias ${name}\\s*=\\s*)[^;]*;|^(fn ${name}\\([^\\n]*\\{ return )[^\\n]*; \\}`,
      "m",
    );
    if (!declaration.test(text)) throw undeclared(kernel, name);
    text = text.replace(declaration, (_all, constant?: string, type?: string, alias?: string, fn?: string) => {
      if (constant !== undefined) return `${constant}${literal(value, type)};`;
      if (alias !== undefined) return `${alias}${String(value)};`;
      return `${fn}${String(value)}; }`;
    });
  }
  return text;
}

const undeclared = ({ name: kernel, declarations }: KernelSource, name: string): Error =>
  new Error(`${kernel}: no declaration named ${name} to replace (it has ${declarations.join(", ")})`);

function literal(value: number | boolean | string, type: string | undefined): string {
  if (typeof value !== "number") return String(value);
  if (type === "u32") return `${value}u`;
  if (type === "f32") return Number.isInteger(value) ? `${value}.0` : String(value);
  return String(value);
}

/** One variant of a kernel. It compiles when it is first needed, or beforehand beside others. */
export class CompiledKernel {
  readonly id: number;
  readonly source: KernelSource;
  readonly label: string;
  /** What its bind groups share. */
  readonly layout: GPUBindGroupLayout;
  /** What replaces its named declarations. */
  readonly constants: Constants;
  /** What it reads from textures instead of buffers. */
  readonly texels: readonly TexelBinding[];
  readonly #device: GPUDevice;
  readonly #key: string;
  #pipeline: GPUComputePipeline | null = null;

  constructor(
    device: GPUDevice,
    id: number,
    source: KernelSource,
    constants: Constants,
    texels: readonly string[],
    key: string,
  ) {
    if (source.subgroups && !device.features.has("subgroups")) {
      throw new Error(`${source.name}: needs the "subgroups" feature, which this adapter lacks`);
    }
    for (const name of Object.keys(constants)) if (!source.declarations.includes(name)) throw undeclared(source, name);
    if (source.matrices && !device.features.has("chromium-experimental-subgroup-matrix")) {
      throw new Error(`${source.name}: needs subgroup matrices, which this adapter lacks`);
    }
    this.id = id;
    this.source = source;
    this.label = key ? `${source.name} {${key}}` : source.name;
    this.#device = device;
    this.#key = key;
    this.constants = constants;
    this.texels = texels.map((name) => ({
      binding: source.bindings.findIndex((binding) => binding.name === name),
      format: texelFormat(specialize(source, constants), name),
    }));
    const entries: GPUBindGroupLayoutEntry[] = source.bindings.map(({ access }, binding) => {
      const entry = { binding, visibility: 4 }; // GPUShaderStage.COMPUTE
      const texel = this.texels.find((other) => other.binding === binding);
      if (texel) return { ...entry, storageTexture: { access: "read-only", format: texel.format.format } };
      return { ...entry, buffer: { type: access === "read" ? "read-only-storage" : "storage" } };
    });
    if (source.params.size > 0) {
      entries.push({
        binding: entries.length,
        visibility: 4,
        buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: source.params.size },
      });
    }
    this.layout = device.createBindGroupLayout({ label: this.label, entries });
  }

  /** The text that is compiled: the file with its constants replaced, and loads from textures in place of buffers. */
  get wgsl(): string {
    const text = this.#texelNames.reduce(loadTexels, specialize(this.source, this.constants));
    // Asked for only where subgroups have several sizes (engine/open.ts).
    const asks = this.source.matrices && this.#device.features.has("subgroup-size-control");
    return asks ? `enable subgroup_size_control;\n${text.replace("@compute", "@compute @subgroup_size(32)")}` : text;
  }

  get #texelNames(): string[] {
    return this.texels.map(({ binding }) => this.source.bindings[binding].name);
  }

  /** The same kernel on another device. */
  on(device: GPUDevice): CompiledKernel {
    return new CompiledKernel(device, this.id, this.source, this.constants, this.#texelNames, this.#key);
  }

  /** Compiles now where `compile()` was not awaited before. */
  get pipeline(): GPUComputePipeline {
    return (this.#pipeline ??= this.#device.createComputePipeline(this.#descriptor()));
  }

  /** Compiles without blocking: several at a time run in parallel, where the driver can. */
  async compile(): Promise<void> {
    if (this.#pipeline) return;
    const pipeline = await this.#device.createComputePipelineAsync(this.#descriptor());
    this.#pipeline ??= pipeline;
  }

  #descriptor(): GPUComputePipelineDescriptor {
    const device = this.#device;
    const { label, layout } = this;
    return {
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ label, code: this.wgsl }) },
    };
  }
}

/** Compiles each (kernel, constants) once. */
export class KernelCache {
  readonly #device: GPUDevice;
  readonly #compiled = new Map<KernelSource, Map<string, CompiledKernel>>();
  #nextId = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get size(): number {
    return this.#nextId;
  }

  /** @param texels names of bindings that it reads from textures */
  get(source: KernelSource, constants: Constants, texels: readonly string[] = []): CompiledKernel {
    let variants = this.#compiled.get(source);
    if (!variants) this.#compiled.set(source, (variants = new Map<string, CompiledKernel>()));
    const key = constantsKey(texels.length > 0 ? { ...constants, texels: texels.join("+") } : constants);
    let kernel = variants.get(key);
    if (!kernel) {
      kernel = new CompiledKernel(this.#device, this.#nextId++, source, constants, texels, key);
      variants.set(key, kernel);
    }
    return kernel;
  }
}

function constantsKey(constants: Constants): string {
  let key = "";
  for (const name in constants) key += `${key ? " " : ""}${name}=${String(constants[name])}`;
  return key;
}

/** Writes named fields into the bytes of a `Params` struct. Every field must be given, and no other. */
export function packParams(
  kernel: KernelSource,
  values: Readonly<Record<string, ParamValue>>,
  into: DataView,
  at: number,
): void {
  const { fields } = kernel.params;
  for (const name in values) if (!(name in fields)) throw new Error(`${kernel.name}: Params has no field ${name}`);
  for (const name in fields) {
    const field = fields[name];
    const value = values[name];
    if (value === undefined) throw new Error(`${kernel.name}: Params field ${name} is missing`);
    if (typeof value === "number") writeScalar(into, at + field.offset, field.type, value);
    else {
      if (value.length > field.length)
        throw new Error(`${kernel.name}: Params field ${name} holds ${field.length} values, got ${value.length}`);
      for (let i = 0; i < field.length; i++) writeScalar(into, at + field.offset + 4 * i, field.type, value[i] ?? 0);
    }
  }
}

/** The numbers of a `Params` struct, by field: for people to read. */
export function unpackParams({ params }: KernelSource, bytes: Uint8Array): Record<string, number[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = { f32: "getFloat32", i32: "getInt32", u32: "getUint32" } as const;
  return Object.fromEntries(
    Object.entries(params.fields).map(([name, { offset, type, length }]) => {
      const get = read[type as keyof typeof read];
      return [name, Array.from({ length }, (_, i) => view[get](offset + 4 * i, true))];
    }),
  );
}

export type ParamValue = number | readonly number[];

function writeScalar(into: DataView, at: number, type: string, value: number): void {
  if (type === "f32") into.setFloat32(at, value, true);
  else if (type === "i32") into.setInt32(at, value, true);
  else into.setUint32(at, value, true);
}
