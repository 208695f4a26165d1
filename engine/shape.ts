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

/** How many windows of `size` fit: the output extent of convolution and pooling. Throws, naming `op`, where none does. */
export function windowCount(
  op: string,
  extent: number,
  size: number,
  stride: number,
  padding: number,
  dilation = 1,
): number {
  const span = dilation * (size - 1) + 1;
  const count = Math.floor((extent + 2 * padding - span) / stride) + 1;
  if (count < 1)
    throw new Error(`${op}: a window of ${span} does not fit into ${extent} pixels with padding ${padding}`);
  return count;
}

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);

/** Throws `op: message` unless the condition holds. */
export function check(condition: boolean, op: string, message: () => string): asserts condition {
  if (!condition) throw new Error(`${op}: ${message()}`);
}
