// What the optimizers have in common: parameter groups over flat buffers, learning rates, clipping, saving and resuming.
import {
  everyRun,
  flattenParameters,
  UNTOUCHED,
  type FlatParameters,
  type GroupRate,
  type LossScaleOptions,
  type Tensor,
} from "../../engine/index.ts";

/** Parameters with a rate or decay of their own; what is left out comes from the optimizer's options. */
export interface ParameterGroup {
  readonly params: readonly Tensor[];
  readonly lr?: number;
  readonly weightDecay?: number;
}

/** What resuming needs: arrays named `<buffer>.<parameter index>`, and numbers. */
export interface OptimizerState {
  readonly tensors: Readonly<Record<string, Float32Array>>;
  readonly scalars: Readonly<Record<string, number>>;
}

interface Group extends GroupRate {
  lr: number;
  /** lr over the optimizer's rate: kept by `setLr`. */
  readonly ratio: number;
  readonly weightDecay: number;
}

export abstract class Optimizer implements Disposable {
  /** "SGD", "Adam" or "AdamW": in messages and state files. */
  readonly name: string;
  readonly #flat: FlatParameters;
  readonly #groups: Group[];
  /** The group of each parameter. */
  readonly #groupOf: readonly number[];
  #trained: boolean[];
  #lr: number;
  #steps = 0;

  protected constructor(
    name: string,
    parameters: readonly Tensor[] | readonly ParameterGroup[],
    lr: number,
    weightDecay: number,
  ) {
    this.name = name;
    this.#lr = this.check("lr", lr, lr >= 0, "not be negative");
    const groups = asGroups(name, parameters);
    if (groups.length > 8) throw new Error(`${name}: at most 8 parameter groups, got ${groups.length}`);
    this.#groups = groups.map((group) => {
      const own = group.lr ?? lr;
      const decay = group.weightDecay ?? weightDecay;
      this.check("lr", own, own >= 0, "not be negative");
      this.check("weightDecay", decay, decay >= 0, "not be negative");
      if (lr === 0 && own !== 0)
        throw new Error(`${name}: a group has lr ${own}, so the optimizer's own must not be 0`);
      return { lr: own, ratio: lr === 0 ? 1 : own / lr, weightDecay: decay };
    });
    const all = groups.flatMap((group) => group.params);
    if (all.length === 0) throw new Error(`${name}: there are no parameters to train`);
    this.#groupOf = groups.flatMap((group, i) => group.params.map(() => i));
    this.#flat = flattenParameters(all);
    this.#trained = [];
  }

  /** The parameters in the order of the groups. */
  get parameters(): readonly Tensor[] {
    return this.#flat.tensors;
  }

  /** Steps done. */
  get steps(): number {
    return this.#steps;
  }

  /** The learning rate of groups without one of their own. */
  get lr(): number {
    return this.#lr;
  }

  /** The learning rate of each group. */
  get groupLrs(): readonly number[] {
    return this.#groups.map((group) => group.lr);
  }

  /** Sets the learning rate. Groups that were given their own keep its ratio to the optimizer's. */
  setLr(lr: number): void {
    this.#lr = this.check("lr", lr, true, "");
    for (const group of this.#groups) group.lr = lr * group.ratio;
  }

  /** What a schedule cycles: SGD's momentum, Adam's beta1. */
  abstract get momentum(): number;
  abstract setMomentum(momentum: number): void;

  /** Forgets the gradients, without a dispatch. */
  zeroGrad(): void {
    this.#flat.zeroGrad();
  }

  /**
   * Scales the gradients so that their common 2-norm is at most `maxNorm`; call it between `backward()` and `step()`.
   * Returns [2]: the norm before and the factor, in a tensor that belongs to the optimizer. Nothing is read back.
   */
  clipGradNorm(maxNorm: number): Tensor {
    this.#refreshFrozen();
    return this.#flat.clipGradNorm(maxNorm);
  }

  /**
   * Divides the gradients by the scale that the loss was multiplied with; call it between `backward()` and everything else. Where they
   * overflowed, `step()` changes nothing. Nothing is read back.
   */
  unscale({ state, options }: { readonly state: Tensor; readonly options: LossScaleOptions }): void {
    this.#refreshFrozen();
    this.#flat.unscale(state, options);
  }

  /** Without a loss scale from now on: the overflow that the last `unscale` found no longer holds steps back. */
  endScaling(): void {
    this.#flat.endScaling();
  }

  /** [4] u32, the first: steps that were skipped because gradients overflowed. */
  get skips(): Tensor {
    return this.#flat.skips;
  }

  /**
   * Updates every parameter that requires a gradient. One that got none since `zeroGrad()` counts as having a gradient of zero;
   * one with `requiresGrad = false` is left alone, decay included.
   */
  step(): void {
    this.#refreshFrozen();
    this.#flat.settleGradients();
    everyRun(() => this.#steps++);
    this.update(this.#flat, this.#groups);
  }

  /** Reads back what resuming needs, all of it as of this moment. Bit-exact. */
  async state(): Promise<OptimizerState> {
    const scalars: Record<string, number> = { ...this.settings(), steps: this.#steps, lr: this.#lr };
    this.#groups.forEach((group, i) => (scalars[`lr.${i}`] = group.lr));
    const parts = Object.entries(this.buffers()).map(async ([name, buffer]) =>
      (await this.#flat.split(buffer)).map((values, i) => [`${name}.${i}`, values] as const),
    );
    return { tensors: Object.fromEntries((await Promise.all(parts)).flat()), scalars };
  }

  /** @throws Error of one line where the `state()` is of another kind of optimizer or of other parameters */
  checkState(state: OptimizerState): void {
    for (const name of ["steps", "lr", ...this.#groups.map((_, i) => `lr.${i}`), ...Object.keys(this.settings())]) {
      if (!Number.isFinite(state.scalars[name])) throw new Error(`${this.name}: the saved state has no ${name}`);
    }
    for (const name of Object.keys(this.buffers())) {
      this.#flat.ranges.forEach(({ size }, i) => {
        const values = state.tensors[`${name}.${i}`];
        if (values?.length === size) return;
        const found = values ? `${values.length} values` : "nothing";
        throw new Error(`${this.name}: the saved state has ${found} for ${name}.${i}, the parameter has ${size}`);
      });
    }
  }

  /** Continues from a `state()` of the same kind of optimizer over the same parameters. Throws, changing nothing, if it does not fit. */
  loadState(state: OptimizerState): void {
    this.checkState(state);
    const { scalars, tensors } = state;
    this.restore(Object.fromEntries(Object.keys(this.settings()).map((name) => [name, scalars[name]])));
    this.#steps = scalars["steps"];
    this.#lr = scalars["lr"];
    this.#groups.forEach((group, i) => (group.lr = scalars[`lr.${i}`]));
    for (const [name, buffer] of Object.entries(this.buffers())) {
      const parts = this.#flat.ranges.map((_, i) => tensors[`${name}.${i}`]);
      this.#flat.join(buffer, parts);
    }
  }

  /** Frees the moments and lets the parameters go; they keep their values. */
  dispose(): void {
    for (const buffer of Object.values(this.buffers())) buffer.dispose();
    this.#flat.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** One step over the flat buffers; `groups` and `steps` are to be read as it runs, also when it is replayed. */
  protected abstract update(flat: FlatParameters, groups: readonly GroupRate[]): void;
  /** The flat state buffers by name. */
  protected abstract buffers(): Readonly<Record<string, Tensor>>;
  /** Numbers that may change during training, by name. */
  protected abstract settings(): Readonly<Record<string, number>>;
  protected abstract restore(settings: Readonly<Record<string, number>>): void;

  /** A state buffer of zeros in the layout of the parameters. */
  protected zeros(): Tensor {
    return this.#flat.zeros();
  }

  /** Returns `value`, or throws one line if it is not a number or `valid` is false. */
  protected check(option: string, value: number, valid: boolean, rule: string): number {
    if (!Number.isFinite(value)) throw new Error(`${this.name}: ${option} must be a number, got ${value}`);
    if (!valid) throw new Error(`${this.name}: ${option} must ${rule}, got ${value}`);
    return value;
  }

  /** Rewrites the table of groups where `requiresGrad` of a parameter has changed. */
  #refreshFrozen(): void {
    this.#flat.refuseTaken(this.name);
    everyRun(() => {
      const trained = this.parameters.map((parameter) => parameter.requiresGrad);
      if (this.#trained.length > 0 && trained.every((is, i) => is === this.#trained[i])) return;
      this.#trained = trained;
      this.#flat.assignGroups(this.#groupOf.map((group, i) => (trained[i] ? group : UNTOUCHED)));
    });
  }
}

function asGroups(name: string, parameters: readonly Tensor[] | readonly ParameterGroup[]): readonly ParameterGroup[] {
  checkList(name, "parameters", parameters);
  const [first] = parameters;
  if (first === undefined || !("params" in first)) return [{ params: parameters as readonly Tensor[] }];
  const groups = parameters as readonly ParameterGroup[];
  for (const { params } of groups) checkList(name, "a group's params", params);
  return groups;
}

function checkList(name: string, what: string, given: unknown): void {
  if (Array.isArray(given)) return;
  const found = given instanceof Object ? `a ${given.constructor.name}` : String(given);
  throw new Error(`${name}: ${what} must be a list, as model.parameters() gives, got ${found}`);
}
