// What a captured step returns: tensors, alone or in arrays and plain objects, made anew for each run.
import type { GraphNode } from "./autograd.ts";
import { forEachTensor } from "./scope.ts";
import { showShape } from "./shape.ts";
import { Tensor, type DType, type Storage } from "./tensor.ts";

/** A result with its tensors replaced by where they come from. */
export interface Template<T> {
  /** Type only. */
  readonly of?: T;
  readonly value: unknown;
}

/** Stands for a tensor of a template. */
class Place {
  /** Where it comes from: the same for tensors that come from the same. */
  readonly from: string;
  readonly make: (storages: Storage[], args: readonly unknown[]) => Tensor;

  constructor(from: string, make: Place["make"]) {
    this.from = from;
    this.make = make;
  }
}

/** All tensors in a value. */
export function tensorsIn(value: unknown): Tensor[] {
  const found: Tensor[] = [];
  forEachTensor(value, (tensor) => found.push(tensor));
  return found;
}

/**
 * @param resultOf which of the step's results holds a tensor's elements; -1: none, it was there before
 * @throws for part of an argument
 */
export function asTemplate<T>(value: T, args: readonly unknown[], resultOf: (tensor: Tensor) => number): Template<T> {
  const seen = new Set<number>();
  const place = (tensor: Tensor): Place => {
    const argument = args.indexOf(tensor);
    if (argument >= 0) return new Place(`argument ${argument}`, (_, now) => now[argument] as Tensor);
    const result = resultOf(tensor);
    if (result < 0) return viewOfArgument(tensor, args) ?? outside(tensor);
    const first = !seen.has(result);
    seen.add(result);
    const { shape, dtype, node } = tensor;
    const { offset } = tensor.location("capture");
    return new Place(`result ${result} from ${offset} on as ${dtype}${showShape(shape)}`, (storages) =>
      fresh(first ? storages[result] : storages[result].share(), shape, dtype, offset, node),
    );
  };
  return { value: replace(value, (each) => (each instanceof Tensor ? place(each) : undefined)) };
}

/** The place of a tensor that looks at the elements of an argument; null: it looks at none's. */
function viewOfArgument(tensor: Tensor, args: readonly unknown[]): Place | null {
  const { shape, dtype } = tensor;
  const own = tensor.location("capture");
  for (const [i, argument] of args.entries()) {
    if (!(argument instanceof Tensor)) continue;
    const { buffer, offset, byteLength } = argument.location("capture");
    if (buffer !== own.buffer || offset >= own.offset + own.byteLength || own.offset >= offset + byteLength) continue;
    if (offset === own.offset && byteLength === own.byteLength)
      return new Place(`argument ${i} as ${dtype}${showShape(shape)}`, (_, now) =>
        (now[i] as Tensor).view(shape, dtype),
      );
    throw new Error(`capture: the step returns ${tensor.toString()}, a part of argument ${i}; return a copy of it`);
  }
  return null;
}

/** The place of a tensor that was there before the step. */
function outside(tensor: Tensor): Place {
  const { buffer, offset } = tensor.location("capture");
  const { id, generation } = buffer;
  return new Place(
    `buffer ${id}, ${generation}, from ${offset} on as ${tensor.dtype}${showShape(tensor.shape)}`,
    () => tensor,
  );
}

function fresh(
  storage: Storage,
  shape: readonly number[],
  dtype: DType,
  offset: number,
  node: GraphNode | null,
): Tensor {
  const tensor = new Tensor(shape, dtype, storage, offset);
  tensor.node = node;
  return tensor;
}

/** How what a step returns `now` differs from what it returned `before`, in words, or null: replays return the same. */
export function templateDifference(before: Template<unknown>, now: Template<unknown>): string | null {
  const compare = (a: unknown, b: unknown, at: string): string | null => {
    if (Object.is(a, b)) return null;
    if (a instanceof Place && b instanceof Place) {
      return a.from === b.from ? null : `it returns another tensor${at} than when recorded; return a copy of it`;
    }
    const [first, second] = [a, b].map(partsOf);
    if (!first || !second || first.length !== second.length || first.some(([name], i) => name !== second[i][0])) {
      return `it returns another value${at} than when recorded; return a tensor`;
    }
    for (const [i, [name, value]] of first.entries()) {
      const what = compare(value, second[i][1], at === "" ? ` as ${name}` : `${at}.${name}`);
      if (what) return what;
    }
    return null;
  };
  return compare(before.value, now.value, "");
}

/** Of arrays and plain objects. */
const partsOf = (value: unknown): [string, unknown][] | null =>
  Array.isArray(value) || isPlain(value) ? Object.entries(value) : null;

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The result of a run. */
export function rebuild<T>(template: Template<T>, storages: Storage[], args: readonly unknown[]): T {
  return replace(template.value, (value) => (value instanceof Place ? value.make(storages, args) : undefined)) as T;
}

/** Takes its graph from what a captured step returns: replays have none. */
export function strip(tensor: Tensor): void {
  if (tensor.node) tensor.node = GRAPHLESS;
}

const GRAPHLESS: GraphNode = {
  op: "capture",
  inputs: [],
  backward: () => {
    throw new Error("backward: what a captured step returns has no graph; call backward() inside of the step");
  },
};

/** A copy of arrays and plain objects, with the values replaced for which `by` gives one. */
function replace(value: unknown, by: (value: unknown) => unknown): unknown {
  const instead = by(value);
  if (instead !== undefined) return instead;
  if (Array.isArray(value)) return value.map((item) => replace(item, by));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, replace(item, by)]));
}
