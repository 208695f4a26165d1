// The one way to run a kernel. Makes a dispatch record, checks it against the adapter's limits, and encodes it.
import type { Device } from "./gpu/device.ts";
import type { BoundBuffer, Dispatch } from "./gpu/dispatch.ts";
import { packParams, type Constants, type KernelSource, type ParamValue } from "./gpu/kernel.ts";
import { mostTexelBytes } from "./gpu/texels.ts";
import { showShape, whatFits } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import { currentDevice } from "./current.ts";

type BindingNames<K extends KernelSource> = K["bindings"][number]["name"];
type ParamNames<K extends KernelSource> = keyof K["params"]["fields"] & string;
type DeclarationNames<K extends KernelSource> = K["declarations"][number];

/** What a launch needs besides the kernel: all of it typed by the kernel's own declarations. */
export interface LaunchArguments<K extends KernelSource> {
  /** A tensor for every binding. One tensor may not be bound both for reading and for writing. */
  readonly bindings: { readonly [name in BindingNames<K>]: Tensor };
  /** A function is a live value: read now, and again at each replay of a captured step. For what changes from step to step. */
  readonly params?: { readonly [name in ParamNames<K>]: ParamValue | (() => ParamValue) };
  readonly constants?: { readonly [name in DeclarationNames<K>]?: number | boolean | string };
  /** Which bindings to load through textures where `device.texels` says that these are faster: such as are loaded often. */
  readonly texels?: { readonly [name in BindingNames<K>]?: boolean };
  /**
   * Workgroups in one dimension. More than 65,535 are folded into two: kernels compute
   * `workgroup_id.x + workgroup_id.y * num_workgroups.x` and return where that is past their work. None: an output without
   * elements, and nothing runs.
   */
  readonly workgroups: number;
  /** Floating-point operations (2 a multiply-add), for profiles and for splitting submits. */
  readonly flops?: number;
}

/** Two workgroups for each of the 132 multiprocessors of a large GPU: with fewer, smaller tiles or more splits do better. */
export const ENOUGH_WORKGROUPS = 264;

/** Loads of each number of an operand from which, in kernels that mostly multiply, reading it through a texture pays for the copy. */
export const ENOUGH_LOADS = 2;

/** Numbers of an operand that stay in the second cache of a CPU's core while others pass by: 1 MiB. */
export const CACHED = 2 ** 18;

/** Tiles of so many of its numbers that stay there, or one. */
export const cachedTiles = (numbers: number): number => Math.max(1, Math.floor(CACHED / numbers));

/** Runs a kernel on the current device. Errors name the kernel. */
export function launch<const K extends KernelSource>(kernel: K, args: LaunchArguments<K>): void {
  if (args.workgroups === 0) return;
  currentDevice().encode(record(kernel, args));
}

/** The dispatch record of a launch: plain data that can be encoded now, or kept and replayed. */
export function record<const K extends KernelSource>(kernel: K, args: LaunchArguments<K>): Dispatch {
  const device = currentDevice();
  const { limits } = device;
  if (kernel.bindings.length > limits.maxStorageBuffersPerShaderStage) {
    throw new Error(
      `${kernel.name}: binds ${kernel.bindings.length} storage buffers, this adapter allows ${limits.maxStorageBuffersPerShaderStage}`,
    );
  }
  const bindings = args.bindings as Readonly<Record<string, Tensor>>;
  const buffers = kernel.bindings.map(({ name }) => bind(kernel.name, name, bindings[name], device));
  checkAliasing(kernel, buffers);
  return {
    kernel: device.kernels.get(kernel, (args.constants ?? {}) as Constants, texelsOf(kernel, args, buffers, device)),
    buffers,
    ...pack(kernel, args.params ?? {}),
    groups: foldWorkgroups(kernel.name, args.workgroups, limits.maxComputeWorkgroupsPerDimension),
    flops: args.flops ?? 0,
  };
}

/** The bindings to load through textures: if the device wants it, those that fit. */
function texelsOf<const K extends KernelSource>(
  { bindings }: K,
  { texels }: LaunchArguments<K>,
  buffers: readonly BoundBuffer[],
  device: Device,
): string[] {
  if (!device.texels || !texels) return [];
  const wanted = texels as Readonly<Record<string, boolean | undefined>>;
  const most = mostTexelBytes(device.limits);
  return bindings.flatMap(({ name }, i) => (wanted[name] && buffers[i].size <= most ? [name] : []));
}

type LiveParams = Readonly<Record<string, ParamValue | (() => ParamValue) | undefined>>;

function pack(kernel: KernelSource, values: LiveParams): Pick<Dispatch, "params" | "live"> {
  const { size } = kernel.params;
  if (size === 0) return { params: null, live: null };
  const names = Object.keys(values).filter((name) => typeof values[name] === "function");
  const packed = (now: LiveParams): Uint8Array => {
    const bytes = new Uint8Array(size);
    packParams(kernel, now as Record<string, ParamValue>, new DataView(bytes.buffer), 0);
    return bytes;
  };
  if (names.length === 0) return { params: packed(values), live: null };
  const repack = (): Uint8Array => {
    const now = { ...values };
    for (const name of names) now[name] = (values[name] as () => ParamValue)();
    return packed(now);
  };
  return { params: repack(), live: { names, repack } };
}

function bind(kernel: string, name: string, tensor: Tensor, device: Device): BoundBuffer {
  const { device: owner, buffer, offset, byteLength } = tensor.location(kernel);
  if (owner !== device)
    throw new Error(`${kernel}: ${name} ${showShape(tensor.shape)} lies on another device than the current one`);
  const limit = device.limits.maxStorageBufferBindingSize;
  const size = Math.max(1, Math.ceil(byteLength / 16)) * 16; // a binding may not be empty; no buffer is
  if (size > limit) {
    const what = `${name} ${showShape(tensor.shape)} needs a binding of ${size} bytes, this adapter allows ${limit}`;
    throw new Error(`${kernel}: ${what}${whatFits(tensor.shape, limit / size)}`);
  }
  return { buffer, offset, size };
}

/** WebGPU refuses a dispatch that writes a buffer which it also reads: at the submit, without naming the tensors. */
function checkAliasing(kernel: KernelSource, buffers: readonly BoundBuffer[]): void {
  kernel.bindings.forEach(({ name, access }, i) => {
    if (access === "read") return;
    // Two parts of one buffer may be written in one dispatch, but not one read and the other written.
    const other = buffers.findIndex(
      (bound, j) =>
        j !== i && bound.buffer === buffers[i].buffer && !(written(kernel, j) && disjoint(bound, buffers[i])),
    );
    if (other >= 0)
      throw new Error(
        `${kernel.name}: ${name} is written and shares a buffer with ${kernel.bindings[other].name}; copy one first`,
      );
  });
}

const written = ({ bindings }: KernelSource, i: number): boolean => bindings[i].access !== "read";
const disjoint = (a: BoundBuffer, b: BoundBuffer): boolean =>
  a.offset + a.size <= b.offset || b.offset + b.size <= a.offset;

/** Splits a one-dimensional count of workgroups over two dimensions where it exceeds the limit of one. */
export function foldWorkgroups(kernel: string, count: number, limit: number): readonly [number, number] {
  if (!Number.isInteger(count) || count < 1) throw new Error(`${kernel}: ${count} workgroups`);
  const y = Math.ceil(count / limit);
  if (y > limit)
    throw new Error(`${kernel}: ${count} workgroups are more than this adapter runs (${limit} x ${limit})`);
  return [Math.ceil(count / y), y];
}
