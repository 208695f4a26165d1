// Flat parameters: all parameters of a model in one buffer and their gradients in a second, so that an optimizer step is one
// dispatch and gradient clipping one reduction. The parameters themselves stay ordinary tensors: ranges of the buffer.
import { setGradientSink } from "./autograd.ts";
import { everyRun } from "./capture.ts";
import { unscaleGradients, type LossScaleOptions } from "./ops/loss-scale.ts";
import {
  accumulate,
  BLOCK,
  clipGradientNorm,
  MAX_GROUPS,
  UNTOUCHED,
  zeroFill,
  type FlatBuffers,
} from "./ops/optimizer-step.ts";
import { keep, scope } from "./scope.ts";
import { check } from "./shape.ts";
import { empty, fromData, type Tensor } from "./tensor.ts";

/** Where one parameter lies, in elements of the flat buffers. */
export interface FlatRange {
  readonly offset: number;
  readonly size: number;
}

interface Slot extends FlatRange {
  readonly parameter: Tensor;
  /** The parameter's range of the flat gradients: what `parameter.grad` is after a backward pass. */
  readonly gradient: Tensor;
  /** Whether the range holds zeros, a gradient of this step, or what an earlier step left. */
  content: "zero" | "gradient" | "stale";
}

/** Who holds a parameter now: flattening again (the LR finder's optimizer, then the training's) takes it over. */
const owners = new WeakMap<Tensor, FlatParameters>();

export class FlatParameters implements FlatBuffers, Disposable {
  /** All parameters, [n]; each starts at a multiple of 64 elements, padding is zero. */
  readonly weights: Tensor;
  /** All gradients, in the same layout. */
  readonly gradients: Tensor;
  /** Steps that loss scaling has skipped: [4], the first. Zeros without it. */
  readonly skips: Tensor;
  readonly #table: Tensor;
  /** The table of this step where loss scaling decides about it. */
  readonly #active: Tensor;
  #scaled = false;
  readonly #slots: Slot[];
  /** The parameter group of each slot. */
  #groups: readonly number[];
  readonly #norm: Tensor;

  constructor(parameters: readonly Tensor[]) {
    const ranges = layOut(parameters);
    const length = ranges.length;
    check(length > 0, "flattenParameters", () => "there are no parameters");
    const size = ranges[length - 1].end;
    this.weights = this.#zeros(size);
    this.gradients = this.#zeros(size);
    this.#table = keep(fromData(new Uint32Array(size / BLOCK), [size / BLOCK], "u32"));
    this.#active = keep(empty([size / BLOCK], "u32"));
    this.skips = keep(fromData([0, 0, 0, 0], [4], "u32"));
    this.#norm = keep(fromData([0, 1], [2]));
    this.#slots = parameters.map((parameter, i) => this.#take(parameter, ranges[i]));
    this.#groups = parameters.map(() => 0);
  }

  /** The parameters, in the order given. */
  get tensors(): readonly Tensor[] {
    return this.#slots.map((slot) => slot.parameter);
  }

  /** The parameter group of each block of 64 elements, [n / 64]; in a step that loss scaling skips all are untouched. */
  get blocks(): Tensor {
    return this.#scaled ? this.#active : this.#table;
  }

  /** Where each parameter lies. */
  get ranges(): readonly FlatRange[] {
    return this.#slots;
  }

  /** Puts each parameter, in the order given, into a parameter group (0 to 7), or 255: untouched by steps and norm. */
  assignGroups(groups: readonly number[]): void {
    check(groups.length === this.#slots.length, "assignGroups", () => {
      return `${groups.length} groups for ${this.#slots.length} parameters`;
    });
    for (const group of groups) {
      const known = (Number.isInteger(group) && group >= 0 && group < MAX_GROUPS) || group === UNTOUCHED;
      check(known, "assignGroups", () => `a group is 0 to ${MAX_GROUPS - 1}, or ${UNTOUCHED} for none, got ${group}`);
    }
    const blocks = new Uint32Array(this.#table.size).fill(UNTOUCHED);
    this.#slots.forEach(({ offset, size }, i) => {
      blocks.fill(groups[i], offset / BLOCK, Math.ceil((offset + size) / BLOCK));
    });
    this.#table.write(blocks);
    this.#groups = [...groups];
  }

  /**
   * Forgets the gradients: `grad` of every parameter is null, and the next gradient overwrites. Costs no dispatch, so the flat
   * buffer keeps its old content until then.
   */
  zeroGrad(): void {
    everyRun(() => {
      for (const slot of this.#slots) {
        slot.parameter.grad = null;
        if (slot.content === "gradient") slot.content = "stale";
      }
    });
  }

  /**
   * Makes the flat gradients whole: parameters that got no gradient since `zeroGrad()` have zeros. Not those that nothing touches: what
   * earlier steps left there is not read, and a captured step must do the same whether they have just been frozen or always were.
   */
  settleGradients(): void {
    for (const [i, slot] of this.#slots.entries()) {
      if (slot.content !== "stale" || this.#groups[i] === UNTOUCHED) continue;
      const { offset, size } = slot;
      scope(() => zeroFill(this.gradients.range(offset, [roundUp(size)])));
      everyRun(() => (slot.content = "zero"));
    }
  }

  /**
   * Scales the gradients so that their common 2-norm is at most `maxNorm`, without reading anything back.
   * Returns [2]: the norm before, and the factor. It belongs to these parameters and is overwritten by the next call.
   */
  clipGradNorm(maxNorm: number): Tensor {
    this.settleGradients();
    clipGradientNorm(this, maxNorm, this.#norm);
    return this.#norm;
  }

  /**
   * Divides the gradients by the scale of the loss; where they overflowed, the steps that follow change nothing until the next call.
   * `state` is that of one scaler: see training/loss-scaling.ts.
   */
  unscale(state: Tensor, options: LossScaleOptions): void {
    this.settleGradients();
    everyRun(() => (this.#scaled = true));
    const flat = { gradients: this.gradients, blocks: this.#table };
    unscaleGradients(flat, { state, skips: this.skips }, this.#active, options);
  }

  /** Steps count again, whatever the last call of `unscale` found. */
  endScaling(): void {
    this.#scaled = false;
  }

  /** @throws where these no longer hold the parameters: `user`'s step would move nothing */
  refuseTaken(user: string): void {
    for (const { parameter } of this.#slots) {
      const owner = owners.get(parameter);
      if (owner === this) continue;
      throw new Error(
        owner
          ? `${user}: another optimizer has taken its parameters over; dispose of this one, and use that`
          : `${user}: it was disposed`,
      );
    }
  }

  /** A buffer in the layout of the parameters, filled with zeros: moments. The caller disposes of it. */
  zeros(): Tensor {
    return this.#zeros(this.weights.size);
  }

  /** The flat buffer's values cut into one array a parameter, in the order given. */
  async split(flat: Tensor): Promise<Float32Array[]> {
    const values = (await flat.data()) as Float32Array;
    return this.#slots.map(({ offset, size }) => values.slice(offset, offset + size));
  }

  /** The opposite of `split`: uploads one array a parameter. */
  join(flat: Tensor, parts: readonly Float32Array[]): void {
    const values = new Float32Array(flat.size);
    this.#slots.forEach(({ offset }, i) => values.set(parts[i], offset));
    flat.write(values);
  }

  /** Lets the parameters go: they keep their values, and gradients go to `grad` in buffers of their own again. */
  dispose(): void {
    for (const { parameter, gradient } of this.#slots) {
      if (owners.get(parameter) === this) {
        owners.delete(parameter);
        setGradientSink(parameter, null);
        parameter.grad = null;
      }
      gradient.dispose();
    }
    const { weights, gradients, skips } = this;
    for (const tensor of [weights, gradients, skips, this.#table, this.#active, this.#norm]) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #zeros(size: number): Tensor {
    const flat = keep(empty([size]));
    zeroFill(flat);
    return flat;
  }

  #take(parameter: Tensor, { offset, size }: FlatRange): Slot {
    scope(() => {
      const range = this.weights.range(offset, parameter.shape);
      accumulate(parameter, range, "overwrite");
      parameter.rebase(range);
    });
    const gradient = keep(this.gradients.range(offset, parameter.shape));
    const slot: Slot = { offset, size, parameter, gradient, content: "zero" };
    // An owner's gradients go with the owner.
    if (!owners.has(parameter)) parameter.grad?.dispose();
    parameter.grad = null;
    owners.set(parameter, this);
    setGradientSink(parameter, {
      // Kernels write whole vec4s: past the end of others lies padding, which stays zero.
      destination: () => (slot.content === "gradient" || size % 4 !== 0 ? null : gradient),
      deposit: (value) => {
        const mode = slot.content === "gradient" ? "add" : "overwrite";
        if (!isAt(value, gradient)) accumulate(value, gradient, mode);
        everyRun(() => {
          slot.content = "gradient";
          parameter.grad = gradient;
        });
      },
    });
    return slot;
  }
}

/**
 * Moves parameters into one flat buffer and their gradients into a second. Each parameter stays usable as before: it becomes a
 * range of the buffer. A gradient overwrites its range the first time after `zeroGrad()` and adds later; `parameter.grad` is a
 * view of that range. A parameter can be in one set only: the last one wins.
 */
export function flattenParameters(parameters: readonly Tensor[]): FlatParameters {
  return new FlatParameters(parameters);
}

function isAt(a: Tensor, b: Tensor): boolean {
  const [x, y] = [a.location(), b.location()];
  return x.buffer === y.buffer && x.offset === y.offset;
}

const roundUp = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

function layOut(parameters: readonly Tensor[]): (FlatRange & { end: number })[] {
  const seen = new Set<Tensor>();
  let end = 0;
  return parameters.map((parameter) => {
    check(parameter.dtype === "f32", "flattenParameters", () => `${parameter.toString()} is not f32`);
    check(parameter.size > 0, "flattenParameters", () => `${parameter.toString()} is empty`);
    check(!seen.has(parameter), "flattenParameters", () => `${parameter.toString()} is given twice`);
    seen.add(parameter);
    const offset = end;
    end += roundUp(parameter.size);
    return { offset, size: parameter.size, end };
  });
}
