// The tensors that a module owns. They take GPU memory when they are first used: a model can be built, counted, printed and
// summarised without a device.
import type { Device } from "../engine/gpu/device.ts";
import type { Random } from "../engine/random.ts";
import { keep } from "../engine/scope.ts";
import { showShape, sizeOf, type Shape } from "../engine/shape.ts";
import { fromData, Tensor, type DType } from "../engine/tensor.ts";
import { constant, randomForOrder, type HostFloats, type Initializer } from "./init.ts";

type Phase = "pending" | "live" | "disposed";

/**
 * How a tensor lies in a file (PyTorch's layout): entry `i` is the axis here of the file's axis `i`. A convolution's weight
 * [R,S,C,K] is [K,C,R,S] in a file, so [3,2,0,1]; a linear layer's [in,out] is [out,in], so [1,0].
 */
export type DiskAxes = readonly number[];

/** A tensor that is kept out of scopes and made on the current device at its first use. */
export abstract class OwnedTensor extends Tensor {
  readonly diskAxes: DiskAxes;
  #phase: Phase = "pending";
  #initialize: Initializer;
  #random: (() => Random) | null = null;
  /** Written before there were elements on the device. */
  #written: HostFloats | null = null;
  readonly #order: number;
  static #count = 0;

  constructor(shape: Shape, initialize: Initializer, diskAxes: DiskAxes = shape.map((_, axis) => axis)) {
    // No storage yet: every way to it below goes through #materialize.
    super(shape, "f32", null as never);
    keep(this);
    this.#initialize = initialize;
    this.#order = OwnedTensor.#count++;
    this.diskAxes = diskAxes;
  }

  /** The shape in files: PyTorch's. */
  get diskShape(): number[] {
    return this.diskAxes.map((axis) => this.shape[axis]);
  }

  /** The values that it starts with, in the layout of `shape`. */
  initialValues(): HostFloats {
    return this.#initialize(sizeOf(this.shape), this.#random?.() ?? randomForOrder(this.#order));
  }

  /** Starts again from the initial values, drawn from the stream that `random` starts, where given. */
  reinitialize(random?: () => Random): void {
    if (random) this.#random = random;
    this.#written = null;
    if (this.#phase === "live") super.write(this.initialValues());
  }

  override get device(): Device {
    this.#materialize();
    return super.device;
  }

  override get shared(): boolean {
    this.#materialize();
    return super.shared;
  }

  override get disposed(): boolean {
    return this.#phase === "disposed";
  }

  override location(user?: string): ReturnType<Tensor["location"]> {
    this.#materialize();
    return super.location(user);
  }

  override view(shape: Shape, dtype: DType = this.dtype): Tensor {
    this.#materialize();
    return super.view(shape, dtype);
  }

  override range(offset: number, shape: Shape): Tensor {
    this.#materialize();
    return super.range(offset, shape);
  }

  override rebase(other: Tensor): void {
    super.rebase(other);
    this.#phase = "live";
    this.#written = null;
  }

  override write(values: ArrayLike<number>): this {
    if (this.#phase !== "pending") return super.write(values);
    if (values.length !== this.size) {
      throw new Error(`write: ${values.length} values for a tensor ${showShape(this.shape)} of ${this.size}`);
    }
    this.#written = Float32Array.from(values);
    return this;
  }

  /** The values, where they are still on the host alone; null once the device has them. */
  hostValues(): HostFloats | null {
    return this.#phase === "pending" ? (this.#written ?? this.initialValues()) : null;
  }

  override dispose(): void {
    super.dispose();
    this.#written = null;
    this.grad?.dispose();
    this.grad = null;
    this.#phase = "disposed";
  }

  #materialize(): void {
    const values = this.hostValues();
    if (!values) return;
    const elements = fromData(values, this.shape);
    this.rebase(elements);
    elements.dispose();
  }
}

/** What an optimizer changes: weights and biases. `requiresGrad` starts true; false freezes it. */
export class Parameter extends OwnedTensor {
  override requiresGrad = true;
}

/** What a module learns without gradients: running statistics. */
export class State extends OwnedTensor {
  constructor(shape: Shape, value: number) {
    super(shape, constant(value));
  }
}

/** A number that a module counts on the host, stored in files as I64: batches seen. */
export class Counter {
  value = 0;
}
