// Rearrangements: reshape shares the storage, everything else copies. All move elements unchanged, whatever their type.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { opScope } from "../scope.ts";
import { ceilDiv, check, normalizeAxis, sameShape, showShape, sizeOf, stridesOf, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { cast, single, throughSingle } from "./cast.ts";
import { bitsOfElement, fill } from "./copy.ts";
import { sumTo } from "./reduce-axes.ts";
import { copyBlock, stretchedStrides } from "./strided.ts";

/** The same elements in another shape, sharing the storage. One extent may be -1: it is whatever remains. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const y = x.view(inferExtent(x, shape));
  return differentiable("reshape", { x }, y, { x: (dy) => dy.view(x.shape) });
}

function inferExtent(x: Tensor, shape: Shape): number[] {
  const known = sizeOf(shape.filter((n) => n !== -1));
  const unknown = shape.filter((n) => n === -1).length;
  const rest = unknown === 0 ? 1 : x.size / known;
  const valid = unknown <= 1 && shape.every((n) => Number.isInteger(n) && n >= -1);
  check(valid && Number.isInteger(rest) && known * rest === x.size, "reshape", () => {
    return `${showShape(x.shape)} has ${x.size} elements and cannot become ${showShape(shape)}`;
  });
  return shape.map((n) => (n === -1 ? rest : n));
}

/** Axis i of y is axis `order[i]` of x. Without `order` the axes are reversed. */
export function permute(x: Tensor, order: readonly number[] = x.shape.map((_, i) => x.rank - 1 - i)): Tensor {
  if (x.dtype === "f16") return throughSingle(x, (wide) => permute(wide, order));
  const axes = order.map((axis) => normalizeAxis("permute", x.rank, axis));
  check(axes.length === x.rank && new Set(axes).size === x.rank, "permute", () => {
    return `order ${showShape(order)} must name each axis of ${showShape(x.shape)} once`;
  });
  const steps = stridesOf(x.shape);
  const shape = axes.map((axis) => x.shape[axis]);
  const y = empty(shape, x.dtype);
  const strides = axes.map((axis) => steps[axis]);
  copyBlock("permute", shape, { tensor: x, strides }, { tensor: y, strides: stridesOf(shape) });
  const inverse = axes.map((_, i) => axes.indexOf(i));
  return differentiable("permute", { x }, y, { x: (dy) => permute(dy, inverse) });
}

/** x stretched to `shape` by NumPy's rules: missing axes are added in front, extents of 1 repeated. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (x.dtype === "f16") return throughSingle(x, (wide) => broadcastTo(wide, shape));
  const lead = shape.length - x.rank;
  check(lead >= 0 && x.shape.every((n, i) => n === 1 || n === shape[i + lead]), "broadcastTo", () => {
    return `${showShape(x.shape)} does not broadcast to ${showShape(shape)}`;
  });
  const y = empty(shape, x.dtype);
  const strides = stretchedStrides(x.shape, shape);
  copyBlock("broadcastTo", shape, { tensor: x, strides }, { tensor: y, strides: stridesOf(shape) });
  return differentiable("broadcastTo", { x }, y, { x: (dy) => sumTo(dy, x.shape) });
}

/** A range of one axis: elements start, start + step, ... before end. Negative start and end count from the end. */
export interface SliceRange {
  /** Default 0. */
  readonly start?: number;
  /** Default: the extent. */
  readonly end?: number;
  /** At least 1, the default. */
  readonly step?: number;
}

/**
 * Part of x: one range per axis, as NumPy's `x[start:end:step, ...]`. `null` and missing trailing ranges take the whole axis.
 * Example: `slice(x, [null, { start: 1, end: -1 }])`. The gradient is zero outside of the slice.
 */
export function slice(x: Tensor, ranges: readonly (SliceRange | null)[]): Tensor {
  if (x.dtype === "f16") return throughSingle(x, (wide) => slice(wide, ranges));
  check(ranges.length <= x.rank, "slice", () => `${ranges.length} ranges for ${showShape(x.shape)}`);
  const axes = x.shape.map((extent, axis) => resolveRange(extent, ranges[axis] ?? {}));
  const shape = axes.map((a) => a.count);
  const steps = stridesOf(x.shape);
  const strides = steps.map((step, axis) => step * axes[axis].step);
  const offset = axes.reduce((sum, a, axis) => sum + a.start * steps[axis], 0);
  const y = empty(shape, x.dtype);
  const dense = stridesOf(shape);
  copyBlock("slice", shape, { tensor: x, strides, offset }, { tensor: y, strides: dense });
  return differentiable("slice", { x }, y, {
    x: (dy) => {
      const dx = fill(empty(x.shape), 0);
      copyBlock("slice", shape, { tensor: dy, strides: dense }, { tensor: dx, strides, offset });
      return dx;
    },
  });
}

function resolveRange(extent: number, range: SliceRange): { start: number; step: number; count: number } {
  const { start = 0, end = extent, step = 1 } = range;
  const whole = [start, end, step].every(Number.isInteger) && step >= 1;
  check(whole, "slice", () => `start ${start}, end ${end} and step ${step} must be whole numbers, the step at least 1`);
  const clamp = (n: number): number => Math.min(Math.max(n < 0 ? n + extent : n, 0), extent);
  const first = clamp(start);
  return { start: first, step, count: Math.max(0, Math.ceil((clamp(end) - first) / step)) };
}

/** Joins tensors along `axis` (default 0). All other extents must be equal. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = tensors;
  check(first !== undefined, "concat", () => "needs at least one tensor");
  if (tensors.every(({ dtype }) => dtype === "f16")) {
    return opScope(() => cast(concat(tensors.map(single), axis), "f16"));
  }
  const along = normalizeAxis("concat", first.rank, axis);
  for (const { shape, dtype } of tensors) {
    const fits = shape.length === first.rank && shape.every((n, i) => i === along || n === first.shape[i]);
    check(fits && dtype === first.dtype, "concat", () => {
      return `${dtype}${showShape(shape)} does not fit to ${first.toString()} along axis ${along}`;
    });
  }
  const shape = [...first.shape];
  shape[along] = tensors.reduce((sum, t) => sum + t.shape[along], 0);
  const y = empty(shape, first.dtype);
  const strides = stridesOf(shape);
  const starts: number[] = [];
  let start = 0;
  for (const tensor of tensors) {
    starts.push(start);
    const to = { tensor: y, strides, offset: start * strides[along] };
    copyBlock("concat", tensor.shape, { tensor, strides: stridesOf(tensor.shape) }, to);
    start += tensor.shape[along];
  }
  const inputs = Object.fromEntries(tensors.map((t, i) => [i, t]));
  const gradients = Object.fromEntries(
    tensors.map((t, i) => {
      const ranges = shape.map((_, a) => (a === along ? { start: starts[i], end: starts[i] + t.shape[a] } : null));
      return [i, (dy: Tensor) => slice(dy, ranges)];
    }),
  );
  return differentiable("concat", inputs, y, gradients);
}

/**
 * x with `value` (default 0) around it: `[before, after]` per axis, none negative; missing trailing axes stay. Example:
 * `pad(x, [[0, 0], [1, 1], [1, 1]])` gives images [N,H,W,C] a border of one pixel.
 */
export function pad(x: Tensor, amounts: readonly (readonly [number, number])[], value = 0): Tensor {
  const valid = amounts.length <= x.rank && amounts.flat().every((n) => Number.isInteger(n) && n >= 0);
  check(valid, "pad", () => `${JSON.stringify(amounts)} must be at most ${x.rank} pairs of whole numbers >= 0`);
  const before = x.shape.map((_, axis) => amounts[axis]?.[0] ?? 0);
  const shape = x.shape.map((extent, axis) => extent + before[axis] + (amounts[axis]?.[1] ?? 0));
  const rows = rowsToPad(x.shape, shape, before);
  if (!rows && x.dtype === "f16") return throughSingle(x, (wide) => pad(wide, amounts, value));
  const y = empty(shape, x.dtype);
  if (rows) padRows(x, y, rows, value);
  else {
    const strides = stridesOf(shape);
    if (!sameShape(shape, x.shape)) fill(y, value);
    const offset = before.reduce((sum, n, axis) => sum + n * strides[axis], 0);
    copyBlock("pad", x.shape, { tensor: x, strides: stridesOf(x.shape) }, { tensor: y, strides, offset });
  }
  const inside = x.shape.map((extent, axis) => ({ start: before[axis], end: before[axis] + extent }));
  return differentiable("pad", { x }, y, { x: (dy) => slice(dy, inside) });
}

/** Elements in a row before and after. */
interface PaddedRows {
  readonly narrow: number;
  readonly wide: number;
}

/** Where one axis alone is padded, at its end, and the rows that it and the axes inside of it make divide by four: as channels are for convolutions. */
function rowsToPad(from: Shape, to: Shape, before: readonly number[]): PaddedRows | null {
  const changed = to.flatMap((extent, axis) => (extent === from[axis] ? [] : [axis]));
  const [axis] = changed;
  if (changed.length !== 1 || before[axis] > 0) return null;
  const wide = sizeOf(to.slice(axis));
  return wide % 4 === 0 ? { narrow: sizeOf(from.slice(axis)), wide } : null;
}

function padRows(x: Tensor, y: Tensor, { narrow, wide }: PaddedRows, value: number): void {
  const halves = {
    Four: "vec2u",
    element: "(x[i / 2u] >> (16u * (i % 2u))) & 0xffffu",
    pack: "vec2u(v.x | (v.y << 16u), v.z | (v.w << 16u))",
  };
  launch(kernels.view.padRows, {
    bindings: { x, y },
    constants: x.dtype === "f16" ? halves : {},
    params: { fours: y.size / 4, narrow, wide: wide / 4, bits: bitsOfElement(value, x.dtype) },
    workgroups: ceilDiv(y.size / 4, 64),
  });
}
