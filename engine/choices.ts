// Which kernel computes something that several can compute: a fixed table in the ops, and what was measured on this device.
import type { Shape } from "./shape.ts";
import type { DType, Tensor } from "./tensor.ts";

/** What a tensor for measuring is like; a tensor is like itself. */
export interface ChoiceInput {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Something that several kernels can compute, with equal results but for rounding. */
export interface Choice<V extends string = string> {
  /** `conv2d` */
  readonly op: string;
  /** All that the time depends on: `32x32x32x64 3x3x64x64 +1+1`, or `... f16`. */
  readonly shape: string;
  readonly variants: readonly V[];
  /** What is used where nothing was measured. */
  readonly fixed: V;
  /** Of one use. `run` may stand for several: those that one answer decides. */
  readonly flops: number;
  /** The tensors that `run` takes. */
  readonly inputs: readonly ChoiceInput[];
  /** Computes it once, for measuring. */
  readonly run: (variant: V, inputs: readonly Tensor[]) => void;
}

/** A choice, and how much it matters. */
export interface OpenChoice extends Choice {
  /** How often ops have asked. */
  readonly uses: number;
}

/** By op and shape, the name of a variant: plain data for files. */
export type ChoiceTable = Readonly<Record<string, string>>;

const nameOf = ({ op, shape }: Pick<Choice, "op" | "shape">): string => `${op} ${shape}`;

const sorted = (choices: ReadonlyMap<string, string>): ChoiceTable =>
  Object.fromEntries([...choices].sort(([a], [b]) => (a < b ? -1 : 1)));

/** A device's choices. `engine/tune.ts` measures. */
export class KernelChoices {
  readonly #measured = new Map<string, string>();
  readonly #used = new Map<string, string>();
  readonly #open = new Map<string, OpenChoice>();
  #version = 0;
  #measuring = false;

  /** The variant to use: what was measured, else the fixed one. */
  choose<V extends string>(choice: Choice<V>): V {
    const name = nameOf(choice);
    const measured = this.#measured.get(name) as V | undefined;
    const known = measured !== undefined && choice.variants.includes(measured);
    const variant = known ? measured : choice.fixed;
    if (this.#measuring) return variant;
    this.#used.set(name, variant);
    if (!known && choice.variants.length > 1) {
      const uses = (this.#open.get(name)?.uses ?? 0) + 1;
      // Not the tensors themselves, which would live on.
      const inputs = choice.inputs.map(({ shape, dtype }) => ({ shape, dtype }));
      this.#open.set(name, { ...(choice as unknown as Choice), inputs, uses });
    }
    return variant;
  }

  /** Takes measured choices, of a cache or of the run that is continued. */
  load(table: ChoiceTable): void {
    for (const [name, variant] of Object.entries(table)) {
      this.#measured.set(name, variant);
      this.#open.delete(name);
    }
    this.#version++;
  }

  /** Does not note which choices are met meanwhile: variants that are only measured have their own. */
  async whileMeasuring<T>(work: () => Promise<T>): Promise<T> {
    this.#measuring = true;
    try {
      return await work();
    } finally {
      this.#measuring = false;
    }
  }

  /** Leaves what is open to the fixed table, until ops ask again. */
  close(): void {
    this.#open.clear();
  }

  /** Notes the fastest. */
  settle(choice: Pick<Choice, "op" | "shape">, variant: string): void {
    this.load({ [nameOf(choice)]: variant });
  }

  /** Choices that were asked for and fell back to the fixed table. */
  get open(): readonly OpenChoice[] {
    return [...this.#open.values()];
  }

  /** What ops have used so far: `config.json` keeps it, since it decides the last bits. */
  get used(): ChoiceTable {
    return sorted(this.#used);
  }

  /** Measured choices, for the cache. */
  get measured(): ChoiceTable {
    return sorted(this.#measured);
  }

  /** Changes whenever an op could choose otherwise than before. */
  get version(): number {
    return this.#version;
  }
}
