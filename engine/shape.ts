// Pure helpers about shapes. No GPU here.

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

export const showShape = (shape: Shape): string => `[${shape.join(",")}]`;

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** NumPy's broadcasting of two shapes. Throws, naming `op`, when they do not fit. */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new Error(
        `${op}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast (axis ${i - rank}: ${m} and ${n})`,
      );
    }
    return m === 1 ? n : m;
  });
}

/** Axes as a sorted list of unique non-negative numbers; `undefined` means all. */
export function normalizeAxes(op: string, rank: number, axes: number | readonly number[] | undefined): number[] {
  const list =
    axes === undefined ? Array.from({ length: rank }, (_, i) => i) : typeof axes === "number" ? [axes] : axes;
  return [...new Set(list.map((axis) => normalizeAxis(op, rank, axis)))].sort((a, b) => a - b);
}

/** One axis as a non-negative number. */
export function normalizeAxis(op: string, rank: number, axis: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank) {
    throw new Error(`${op}: axis ${axis} is out of range for ${rank} dimensions (${-rank} to ${rank - 1})`);
  }
  return positive;
}

/** Rows and columns of a window, and how it moves. */
interface Windows {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation?: readonly [number, number];
}

/** Rows and columns of windows that fit into x [N,H,W,C]: the output of convolution and pooling. Throws, naming `op`, where none does. */
export function windowCounts(op: string, x: Shape, windows: Windows): [P: number, Q: number] {
  const { kernel, stride, padding, dilation = [1, 1] } = windows;
  const count = (axis: 0 | 1): number => {
    const extent = x[1 + axis];
    const span = dilation[axis] * (kernel[axis] - 1) + 1;
    const fits = Math.floor((extent + 2 * padding[axis] - span) / stride[axis]) + 1;
    check(
      fits >= 1,
      op,
      () =>
        `a window of ${span} does not fit into ${extent} pixels with padding ${padding[axis]}; x is ${showShape(x)}`,
    );
    return fits;
  };
  return [count(0), count(1)];
}

/** For errors about size: " (a first dimension of 2 fits)" where a tensor of that shape may only be `share` as large; "" where none fits. */
export function whatFits(shape: Shape, share: number): string {
  const fits = Math.floor(share * (shape[0] ?? 1));
  return fits > 0 ? ` (a first dimension of ${fits} fits)` : "";
}

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);

/** Throws `op: message` unless the condition holds. */
export function check(condition: boolean, op: string, message: () => string): asserts condition {
  if (!condition) throw new Error(`${op}: ${message()}`);
}

/** One number for both directions, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

export const asPair = (value: Pair): readonly [number, number] => (typeof value === "number" ? [value, value] : value);
