// Tensors: a shape and a type over a range of a GPU buffer. Always dense and row-major; reshape shares the storage, every
// other rearrangement copies. Operations are attached in methods.ts.
import type { GraphNode } from "./autograd.ts";
import type { Device } from "./gpu/device.ts";
import { largestBuffer, type PooledBuffer } from "./gpu/buffers.ts";
import { currentDevice } from "./current.ts";
import { halvesToNumbers, numberToHalf } from "./half-floats.ts";
import { adopt } from "./scope.ts";
import { showShape, sizeOf, whatFits, type Shape } from "./shape.ts";

/** f16 is for storing: kernels compute in f32. Pairs of elements are packed into 4 bytes. */
export type DType = "f32" | "f16" | "u32";

export const bytesOf = (dtype: DType): number => (dtype === "f16" ? 2 : 4);

/** A pooled buffer and how many tensors look at it. */
export class Storage {
  readonly device: Device;
  readonly buffer: PooledBuffer;
  #owners = 1;

  constructor(device: Device, bytes: number) {
    this.device = device;
    this.buffer = device.allocate(bytes);
  }

  share(): this {
    this.#owners++;
    return this;
  }

  get shared(): boolean {
    return this.#owners > 1;
  }

  release(): void {
    if (--this.#owners === 0) this.device.release(this.buffer);
  }
}

export class Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Gradients of leaves are kept in `grad` after `backward()`. */
  requiresGrad = false;
  /** The accumulated gradient of a leaf, with its shape. Null before the first backward() and after zeroing. */
  grad: Tensor | null = null;
  /** How this tensor was computed, where gradients can flow through it. */
  node: GraphNode | null = null;
  #storage: Storage | null;
  #offset: number;

  constructor(shape: Shape, dtype: DType, storage: Storage, offset = 0) {
    this.shape = [...shape];
    this.dtype = dtype;
    this.#storage = storage;
    this.#offset = offset;
    adopt(this);
  }

  /** Whether other tensors lie in the same buffer: views of this one, or what this is a view of. */
  get shared(): boolean {
    return this.#live("shared").shared;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  get disposed(): boolean {
    return this.#storage === null;
  }

  get device(): Device {
    return this.#live("device").device;
  }

  /** Where the elements lie: for `launch()`. */
  location(user = "tensor"): { device: Device; buffer: PooledBuffer; offset: number; byteLength: number } {
    const { device, buffer } = this.#live(user);
    return { device, buffer, offset: this.#offset, byteLength: Math.ceil((this.size * bytesOf(this.dtype)) / 4) * 4 };
  }

  /** Another tensor over the same elements. */
  view(shape: Shape, dtype: DType = this.dtype): Tensor {
    if (sizeOf(shape) !== this.size) {
      throw new Error(
        `view: ${showShape(this.shape)} has ${this.size} elements, ${showShape(shape)} would have ${sizeOf(shape)}`,
      );
    }
    if (bytesOf(dtype) !== bytesOf(this.dtype))
      throw new Error(`view: ${this.toString()} has elements of another size than ${dtype}; use cast()`);
    return new Tensor(shape, dtype, this.#live("view").share(), this.#offset);
  }

  /**
   * A tensor over part of a flat one: `offset` in elements, a multiple of 64 (bindings start at multiples of 256 bytes). Kernels store whole
   * vec4s: what writes into a part that ends within 16 bytes may change the elements up to there.
   */
  range(offset: number, shape: Shape): Tensor {
    const bytes = offset * bytesOf(this.dtype);
    if (bytes % 256 !== 0) throw new Error(`range: offset ${offset} is not a multiple of ${256 / bytesOf(this.dtype)}`);
    if (offset + sizeOf(shape) > this.size)
      throw new Error(`range: ${showShape(shape)} at ${offset} exceeds ${this.size} elements`);
    return new Tensor(shape, this.dtype, this.#live("range").share(), this.#offset + bytes);
  }

  /** Makes this tensor look at the elements of `other` (same shape) instead of its own. Used to flatten parameters. */
  rebase(other: Tensor): void {
    const { offset } = other.location("rebase");
    this.#storage?.release();
    this.#storage = other.#live("rebase").share();
    this.#offset = offset;
  }

  /** Overwrites the elements from host memory. */
  write(values: ArrayLike<number>): this {
    if (values.length !== this.size) {
      throw new Error(`write: ${values.length} values for a tensor ${showShape(this.shape)} of ${this.size}`);
    }
    const storage = this.#live("write");
    storage.device.upload(storage.buffer, toTyped(values, this.dtype), this.#offset);
    return this;
  }

  /** Reads the elements back as a typed array, in row-major order; f16 as Float32Array. */
  data(): Promise<Float32Array | Uint32Array> {
    // At once: a rejected promise could go unnoticed in the step.
    if (!this.disposed) this.device.refuseWhileRecording();
    return this.#read();
  }

  async #read(): Promise<Float32Array | Uint32Array> {
    const { buffer, offset, byteLength } = this.location("data");
    if (byteLength === 0) return this.dtype === "u32" ? new Uint32Array(0) : new Float32Array(0);
    const bytes = await this.device.read(buffer, offset, byteLength);
    if (this.dtype === "f16") return halvesToNumbers(new Uint16Array(bytes, 0, this.size));
    return this.dtype === "f32" ? new Float32Array(bytes) : new Uint32Array(bytes);
  }

  /** Reads back as nested arrays of numbers (one number for a scalar). */
  array(): Promise<NestedNumbers> {
    return this.data().then((data) => nest([...data], this.shape));
  }

  /** Reads back the only element. */
  item(): Promise<number> {
    if (this.size === 1) return this.data().then(([value]) => value);
    return Promise.reject(new Error(`item: the tensor ${showShape(this.shape)} has ${this.size} elements, not one`));
  }

  /**
   * Frees the elements (when no other tensor shares them), and the graph behind the tensor. Using the tensor afterwards throws,
   * and so does a backward() that would go through it. Harmless when repeated.
   */
  dispose(): void {
    this.#storage?.release();
    this.#storage = null;
    if (this.node) this.node = freedNode(this.node.op);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    return `Tensor ${this.dtype}${showShape(this.shape)}`;
  }

  #live(user: string): Storage {
    if (!this.#storage) {
      throw new Error(
        `${user}: this tensor ${showShape(this.shape)} was freed; return it from its scope() or keep() it`,
      );
    }
    return this.#storage;
  }
}

/** Stands for the graph behind a freed tensor: without it, gradients would end there, and nobody would notice. */
const freedNode = (op: string): GraphNode => ({
  op,
  inputs: [],
  backward: () => {
    throw new Error(`backward: the result of ${op} was freed before; return it from its scope() or keep() it`);
  },
});

export type NestedNumbers = number | NestedNumbers[];

/** A new tensor with undefined content. */
export function empty(shape: Shape, dtype: DType = "f32"): Tensor {
  for (const n of shape)
    if (!Number.isInteger(n) || n < 0) throw new Error(`empty: ${showShape(shape)} is not a shape`);
  const device = currentDevice();
  const bytes = Math.max(16, sizeOf(shape) * bytesOf(dtype));
  const most = largestBuffer(device.limits);
  if (bytes > most) {
    const what = `a tensor ${dtype}${showShape(shape)} has ${bytes} bytes, this adapter's largest buffer ${most}`;
    throw new Error(what + whatFits(shape, most / bytes));
  }
  return new Tensor(shape, dtype, new Storage(device, bytes));
}

/** A tensor from a typed array and its shape. */
export function fromData(values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
  return empty(shape, dtype).write(values);
}

/** A tensor from a number or nested arrays. Example: `tensor([[1, 2], [3, 4]], { requiresGrad: true })`. */
export function tensor(values: NestedNumbers, options: { dtype?: DType; requiresGrad?: boolean } = {}): Tensor {
  const shape: number[] = [];
  for (let v: NestedNumbers | undefined = values; Array.isArray(v); v = v[0]) shape.push(v.length);
  const flat: number[] = [];
  flatten(values, shape, flat);
  const { dtype = "f32", requiresGrad = false } = options;
  if (requiresGrad && dtype === "u32") throw new Error(`tensor: gradients need floats, got ${dtype}`);
  const result = fromData(flat, shape, dtype);
  result.requiresGrad = requiresGrad;
  return result;
}

function flatten(values: NestedNumbers, shape: Shape, into: number[]): void {
  if (typeof values === "number" ? shape.length > 0 : values.length !== shape[0]) {
    const found = typeof values === "number" ? "a number" : `an array of ${values.length}`;
    throw new Error(`tensor: the nested arrays are ragged (${found} where others are ${showShape(shape)})`);
  }
  if (typeof values === "number") return void into.push(values);
  const inner = shape.slice(1);
  for (const value of values) flatten(value, inner, into);
}

function toTyped(values: ArrayLike<number>, dtype: DType): Float32Array | Uint32Array | Uint16Array {
  if (dtype === "f16") return Uint16Array.from(values, numberToHalf);
  if (dtype === "f32") return values instanceof Float32Array ? values : Float32Array.from(values);
  return values instanceof Uint32Array ? values : Uint32Array.from(values);
}

function nest(flat: number[], shape: Shape): NestedNumbers {
  if (shape.length === 0) return flat[0];
  const [n, ...rest] = shape as [number, ...number[]];
  const step = sizeOf(rest);
  return Array.from({ length: n }, (_, i) => nest(flat.slice(i * step, (i + 1) * step), rest));
}
