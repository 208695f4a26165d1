// Second sets of weights beside a model's own: the moving average that is tested (EMA), and lookahead's slow weights.
import { copyInto, keep, lerpInto, scope, zeros, type Tensor } from "../engine/index.ts";
import { Counter, type Module } from "../nn/index.ts";

/** Host values of an average, by the names of the model's parameters and running statistics. */
export type AverageState = ReadonlyMap<string, Float32Array>;

/**
 * A moving average of everything that a model has learned: parameters and batch norm's running statistics. It starts as a copy of
 * them. Owns memory on the device: as much as the model.
 */
class WeightAverage implements Disposable {
  readonly #pairs: readonly { readonly name: string; readonly own: Tensor; readonly average: Tensor }[];

  constructor(model: Module) {
    this.#pairs = model.namedEntries().flatMap(([name, own]) => {
      if (own instanceof Counter) return [];
      // Padding takes part in whole-vec4 kernels: it must not hold what an earlier tensor left there.
      return [{ name, own, average: keep(scope(() => copyInto(zeros(own.shape), own))) }];
    });
  }

  /** average += (weights - average) * share. */
  update(share: number): void {
    for (const { own, average } of this.#pairs) lerpInto(average, own, share);
  }

  /** The model takes the average's values. */
  copyToModel(): void {
    for (const { own, average } of this.#pairs) copyInto(own, average);
  }

  async state(): Promise<Map<string, Float32Array>> {
    const read = this.#pairs.map(async ({ name, average }) => [name, (await average.data()) as Float32Array] as const);
    return new Map(await Promise.all(read));
  }

  loadState(state: AverageState): void {
    for (const { name, average } of this.#pairs) average.write(state.get(name)!);
  }

  dispose(): void {
    for (const { average } of this.#pairs) average.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

export interface EmaOptions {
  /** What stays of the average at each update, 0 to 1 (both excluded); 0.999 remembers about the last thousand updates. */
  readonly decay: number;
  /** Steps between updates; default 1. */
  readonly every?: number | undefined;
}

/** Lookahead as the airbench speed nets have it; the idea is Zhang et al. 2019, "Lookahead Optimizer: k steps forward, 1 step back". */
export interface LookaheadOptions {
  /** Steps between updates: then slow += (weights - slow) * (1 - decay), and the weights become the slow ones. */
  readonly every: number;
  /** What stays of the slow weights, 0 to 1, where `progress` (0 to 1) of the run's steps are done. */
  readonly decay: (progress: number) => number;
}

/** The averages of a trainer: made with the first step or state, freed with the trainer. */
export class Averages implements Disposable {
  readonly #model: Module;
  readonly #ema: EmaOptions | undefined;
  readonly #lookahead: LookaheadOptions | undefined;
  #average: WeightAverage | null = null;
  #slow: WeightAverage | null = null;

  constructor(model: Module, ema: EmaOptions | undefined, lookahead: LookaheadOptions | undefined) {
    if (ema && !(ema.decay > 0 && ema.decay < 1)) {
      throw new Error(`Trainer: ema.decay must be between 0 and 1, got ${ema.decay}`);
    }
    for (const [name, every] of Object.entries({ ema: ema?.every ?? 1, lookahead: lookahead?.every ?? 1 })) {
      if (!(Number.isInteger(every) && every >= 1)) {
        throw new Error(`Trainer: ${name}.every must be a whole number of at least 1, got ${every}`);
      }
    }
    this.#model = model;
    this.#ema = ema;
    this.#lookahead = lookahead;
  }

  /** Before a step of a run of so many. @throws Error of one line where lookahead is not told how many */
  begin(steps: number | undefined): void {
    if (this.#lookahead && steps === undefined) {
      throw new Error(
        "Trainer: lookahead goes by the length of the run: give step() its `steps` beside epoch and step",
      );
    }
    this.#prepare();
  }

  /** Before the first step: both start as copies of the weights as they are. */
  #prepare(): void {
    if (this.#ema) this.#average ??= new WeightAverage(this.#model);
    if (this.#lookahead) this.#slow ??= new WeightAverage(this.#model);
  }

  /** After an optimizer step. @param done steps of the run done by now, of `steps` */
  step(done: number, steps: number | undefined): void {
    if (this.#slow && this.#lookahead) {
      const { every, decay } = this.#lookahead;
      if (done % every === 0) {
        this.#slow.update(1 - decay(done / steps!));
        this.#slow.copyToModel();
      }
      // What the last steps changed since the last update is given up, as in airbench.
      if (done === steps) this.#slow.copyToModel();
    }
    if (this.#average && this.#ema && done % (this.#ema.every ?? 1) === 0) this.#average.update(1 - this.#ema.decay);
  }

  /**
   * Puts the moving average into the model and returns what puts the weights back; null without an average.
   */
  borrow(): (() => void) | null {
    const average = this.#average;
    if (!average) return null;
    const own = new WeightAverage(this.#model);
    average.copyToModel();
    return () => {
      own.copyToModel();
      own.dispose();
    };
  }

  async state(): Promise<AveragesState> {
    const [ema, slow] = await Promise.all([this.#average?.state(), this.#slow?.state()]);
    return { ...(ema && { ema }), ...(slow && { slow }) };
  }

  /** @throws Error of one line where these, of a run after so many steps, are of another model or not those that this trainer has */
  check({ ema, slow }: AveragesState, steps: number, origin: string): void {
    if (!ema && !slow && steps === 0) return; // they begin with the first step
    if (Boolean(ema) !== Boolean(this.#ema) || Boolean(slow) !== Boolean(this.#lookahead)) {
      throw new Error(`${origin} was saved with other averages (ema, lookahead): continue with the same`);
    }
    for (const [name, own] of this.#model.namedEntries()) {
      if (own instanceof Counter) continue;
      for (const average of [ema, slow]) {
        const found = average?.get(name)?.length ?? 0;
        if (average && found !== own.size)
          throw new Error(`${origin}: the average has ${found} values for ${name}, the model ${own.size}`);
      }
    }
  }

  /** What `check` has found right. */
  loadState({ ema, slow }: AveragesState): void {
    this.dispose();
    if (!ema && !slow) return;
    this.#prepare();
    if (ema) this.#average?.loadState(ema);
    if (slow) this.#slow?.loadState(slow);
  }

  dispose(): void {
    this.#average?.dispose();
    this.#slow?.dispose();
    this.#average = this.#slow = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Empty before the first step. */
export interface AveragesState {
  readonly ema?: AverageState;
  readonly slow?: AverageState;
}
