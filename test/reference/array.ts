/** A dense row-major float64 array: what every reference takes and gives. Images are [N,H,W,C], conv weights [R,S,C,K]. */
export interface Arr {
  shape: number[];
  data: Float64Array;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function zeros(shape: readonly number[]): Arr {
  return { shape: [...shape], data: new Float64Array(sizeOf(shape)) };
}

export function full(shape: readonly number[], value: number): Arr {
  const a = zeros(shape);
  a.data.fill(value);
  return a;
}

/** Copies `values`; throws if their number is not the shape's. */
export function fromFlat(shape: readonly number[], values: ArrayLike<number>): Arr {
  if (values.length !== sizeOf(shape)) {
    throw new Error(`fromFlat: shape [${shape.join(",")}] needs ${sizeOf(shape)} values, got ${values.length}`);
  }
  return { shape: [...shape], data: Float64Array.from(values) };
}

/** Elements between neighbours along each axis. */
export function strides(shape: readonly number[]): number[] {
  const result = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    result[axis] = step;
    step *= shape[axis];
  }
  return result;
}

/** The multi-index of a flat position. */
export function unravel(flat: number, shape: readonly number[]): number[] {
  const index = new Array<number>(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

/** The flat position of a multi-index, given strides. */
export function offsetOf(index: readonly number[], steps: readonly number[]): number {
  let offset = 0;
  for (let axis = 0; axis < index.length; axis++) offset += index[axis] * steps[axis];
  return offset;
}

/** A new array whose element at multi-index `index` is `f(index)`. */
export function build(shape: readonly number[], f: (index: number[]) => number): Arr {
  const y = zeros(shape);
  for (let i = 0; i < y.data.length; i++) y.data[i] = f(unravel(i, y.shape));
  return y;
}

export function map(x: Arr, f: (value: number, flat: number) => number): Arr {
  return { shape: [...x.shape], data: x.data.map((value, flat) => f(value, flat)) };
}

/** Axes as sorted, non-negative numbers; all of them when none are named. */
export function resolveAxes(rank: number, axes?: readonly number[]): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const resolved = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  if (resolved.some((axis) => axis < 0 || axis >= rank)) throw new Error(`no axes [${axes.join(",")}] in rank ${rank}`);
  return resolved;
}

/** NumPy's rule: shapes are aligned at the right, an extent of 1 stretches. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const p = a[axis - rank + a.length] ?? 1;
    const q = b[axis - rank + b.length] ?? 1;
    if (p !== q && p !== 1 && q !== 1) throw new Error(`[${a.join(",")}] and [${b.join(",")}] do not broadcast`);
    return p === 1 ? q : p;
  });
}

/** Strides of `shape` seen as `wider`: 0 along stretched axes. */
export function broadcastStrides(shape: readonly number[], wider: readonly number[]): number[] {
  const own = strides(shape);
  const lead = wider.length - shape.length;
  return wider.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : own[axis - lead]));
}

/** An option given once for both image axes, or as [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

export function pair(value: Pair): readonly [number, number] {
  return typeof value === "number" ? [value, value] : value;
}
