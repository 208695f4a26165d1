// Strided blocks: how an array of one shape lies in several tensors, and the kernel that copies such a block. What permute,
// slice, concat, pad and broadcasting have in common.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check, showShape, sizeOf, stridesOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** What the kernels' Params hold. */
const MAX_RANK = 8;

/** A shape, and the strides (in elements) with which each of several tensors is walked along its axes. */
export interface Block {
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/**
 * The same walk with as few axes as possible: extents of 1 are dropped, and neighbours that are contiguous in all tensors merged.
 * Throws, naming `op`, where more than 8 remain.
 */
export function collapse(op: string, { shape, strides }: Block): Block {
  const axes: { extent: number; steps: number[] }[] = [];
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const steps = strides.map((s) => s[axis]);
    const before = axes[axes.length - 1];
    if (before && before.steps.every((step, i) => step === steps[i] * extent)) {
      before.extent *= extent;
      before.steps = steps;
    } else axes.push({ extent, steps });
  });
  check(axes.length <= MAX_RANK, op, () => `${showShape(shape)} has more than ${MAX_RANK} axes that cannot be merged`);
  return { shape: axes.map((a) => a.extent), strides: strides.map((_, i) => axes.map((a) => a.steps[i])) };
}

/** The walk in units of four elements, or null where some row doesn't start and end at a multiple of four. */
export function inVectors({ shape, strides }: Block): Block | null {
  const last = shape.length - 1;
  const fits =
    last >= 0 &&
    shape[last] % 4 === 0 &&
    strides.every((steps) => steps[last] === 1 && steps.every((step, axis) => axis === last || step % 4 === 0));
  if (!fits) return null;
  const quarter = (values: readonly number[]): number[] => values.map((v, axis) => (axis === last ? v : v / 4));
  return {
    shape: shape.map((extent, axis) => (axis === last ? extent / 4 : extent)),
    strides: strides.map(quarter),
  };
}

/** The walk as the kernels' Params hold it: per axis the extent and the first two tensors' strides. */
export function packAxes({ shape, strides }: Block): number[] {
  return shape.flatMap((extent, axis) => [extent, strides[0][axis], strides[1][axis], 0]);
}

/** Strides of a tensor of `shape` seen as the wider shape `wide`: 0 along stretched axes. */
export function stretchedStrides(shape: Shape, wide: Shape): number[] {
  const own = stridesOf(shape);
  const lead = wide.length - shape.length;
  return wide.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : own[axis - lead]));
}

/** A block's place in a tensor. */
export interface Place {
  readonly tensor: Tensor;
  readonly strides: readonly number[];
  /** Of the first element; default 0. */
  readonly offset?: number;
}

const ELEMENTS_PER_WORKGROUP = 64 * 4;

/** Copies the elements of a block of `shape` from one tensor into another. Both have the same type. */
export function copyBlock(op: string, shape: Shape, from: Place, to: Place): void {
  if (sizeOf(shape) === 0) return;
  const scalars = collapse(op, { shape, strides: [from.strides, to.strides] });
  const [xOffset, yOffset] = [from.offset ?? 0, to.offset ?? 0];
  const vectors = xOffset % 4 === 0 && yOffset % 4 === 0 ? inVectors(scalars) : null;
  const block = vectors ?? scalars;
  const unit = vectors ? 4 : 1;
  const size = sizeOf(block.shape);
  launch(kernels.view.strided, {
    bindings: { x: from.tensor, y: to.tensor },
    constants: { T: vectors ? "vec4u" : "u32" },
    params: {
      size,
      rank: block.shape.length,
      x_offset: xOffset / unit,
      y_offset: yOffset / unit,
      axes: packAxes(block),
    },
    workgroups: ceilDiv(size, ELEMENTS_PER_WORKGROUP),
  });
}
