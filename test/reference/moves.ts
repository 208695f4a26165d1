import { type Arr, build, fromFlat, offsetOf, resolveAxes, strides } from "./array.ts";

export function reshape(x: Arr, shape: readonly number[]): Arr {
  return fromFlat(shape, x.data);
}

/** Axis i of y is axis `order[i]` of x, as torch's permute. */
export function permute(x: Arr, order: readonly number[]): Arr {
  const steps = strides(x.shape);
  const moved = order.map((axis) => steps[axis]);
  const shape = order.map((axis) => x.shape[axis]);
  return build(shape, (index) => x.data[offsetOf(index, moved)]);
}

/** NumPy's x[start:end:step] along every axis; negative starts and ends count from the end; steps are positive. */
export function slice(x: Arr, starts: readonly number[], ends: readonly number[], steps?: readonly number[]): Arr {
  const clamp = (value: number, extent: number): number =>
    Math.min(Math.max(value < 0 ? value + extent : value, 0), extent);
  const step = x.shape.map((_, axis) => steps?.[axis] ?? 1);
  const first = x.shape.map((extent, axis) => clamp(starts[axis] ?? 0, extent));
  const last = x.shape.map((extent, axis) => clamp(ends[axis] ?? extent, extent));
  const shape = x.shape.map((_, axis) => Math.max(0, Math.ceil((last[axis] - first[axis]) / step[axis])));
  const xSteps = strides(x.shape);
  return build(shape, (index) => {
    const source = index.map((i, axis) => first[axis] + i * step[axis]);
    return x.data[offsetOf(source, xSteps)];
  });
}

export function concat(parts: readonly Arr[], axis: number): Arr {
  const rank = parts[0].shape.length;
  const [a] = resolveAxes(rank, [axis]) as [number];
  const shape = [...parts[0].shape];
  shape[a] = parts.reduce((total, part) => total + part.shape[a], 0);
  return build(shape, (index) => {
    const source = [...index];
    let part = 0;
    while (source[a] >= parts[part].shape[a]) source[a] -= parts[part++].shape[a];
    return parts[part].data[offsetOf(source, strides(parts[part].shape))];
  });
}

/** `amounts[axis]` = [before, after], as numpy.pad with a constant. */
export function pad(x: Arr, amounts: readonly (readonly [number, number])[], value = 0): Arr {
  const shape = x.shape.map((extent, axis) => extent + amounts[axis][0] + amounts[axis][1]);
  const steps = strides(x.shape);
  return build(shape, (index) => {
    const source = index.map((i, axis) => i - amounts[axis][0]);
    const inside = source.every((i, axis) => i >= 0 && i < x.shape[axis]);
    return inside ? x.data[offsetOf(source, steps)] : value;
  });
}

/** torch.index_select: slices `indices` of `axis`, in that order, repeats allowed. */
export function gather(x: Arr, indices: ArrayLike<number>, axis = 0): Arr {
  const [a] = resolveAxes(x.shape.length, [axis]) as [number];
  const shape = x.shape.map((extent, i) => (i === a ? indices.length : extent));
  const steps = strides(x.shape);
  return build(shape, (index) => {
    const source = index.map((i, at) => (at === a ? indices[i] : i));
    return x.data[offsetOf(source, steps)];
  });
}
