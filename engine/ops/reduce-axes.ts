// Running a reduction: x is seen as [outer, reduced, inner], several groups of axes are reduced one after another, and a long
// axis in several passes of fixed splits, so that few outputs still keep many invocations busy.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, sameShape, sizeOf, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { bitsOf, throughSingle } from "./cast.ts";
import { copyInto, zeros } from "./copy.ts";

/** How two elements become one, in WGSL: see shaders/reduce/reduce.wgsl. */
const COMBINE = { sum: "a + b", max: "larger(a, b)", min: "smaller(a, b)" };

/** So many sequential additions an invocation makes at most before the work is split further: on a real GPU each waits for memory... */
const longestPass = (): number => (currentDevice().family === "workgroup" ? 128 : 512);
/** ...and then each split gets about so many... */
const SPLIT_LENGTH = 64;
/** ...but no more invocations than this are wanted. */
const ENOUGH_INVOCATIONS = 1 << 16;
/** Rows of at least so many elements are read as vec4. */
const SHORTEST_VECTOR_ROW = 64;

/** x [outer, reduced, inner] -> [outer, inner] times `factor`. */
function reduceGroup(
  how: keyof typeof COMBINE,
  x: Tensor,
  outer: number,
  reduced: number,
  inner: number,
  factor: number,
): Tensor {
  // Rows are read as vec4 too: four partial results each, which the next pass combines.
  const rows = inner === 1 && reduced % 4 === 0 && reduced >= SHORTEST_VECTOR_ROW;
  const vectors = rows || inner % 4 === 0;
  const length = rows ? reduced / 4 : reduced;
  const width = rows ? 1 : vectors ? inner / 4 : inner;
  let splits = 1;
  if (length > longestPass())
    splits = Math.min(ceilDiv(length, SPLIT_LENGTH), ceilDiv(ENOUGH_INVOCATIONS, outer * width));
  const last = splits === 1 && !rows;
  const size = outer * splits * width;
  const y = empty([vectors ? size * 4 : size]);
  const T = vectors ? "vec4f" : "f32";
  launch(kernels.reduce.reduce, {
    bindings: { x, y },
    constants: { T, ...bitsOf(T), combine: COMBINE[how] },
    params: { size, reduced: length, inner: width, splits, factor: last ? factor : 1 },
    workgroups: ceilDiv(size, 64),
  });
  return last ? y : reduceGroup(how, y, outer, rows ? splits * 4 : splits, inner, factor);
}

/**
 * Reduces `axes` (sorted) and returns a tensor of the shape without them, or with extents of 1. A sum over nothing is 0; the
 * largest and smallest need an x with elements.
 */
export function reduceAxes(
  how: keyof typeof COMBINE,
  x: Tensor,
  axes: readonly number[],
  shape: Shape,
  factor: number,
): Tensor {
  if (x.dtype === "f16") return throughSingle(x, (wide) => reduceAxes(how, wide, axes, shape, factor));
  if (x.dtype !== "f32") throw new Error(`${how}: needs an f32 tensor, got ${x.toString()}`);
  if (x.size === 0) return zeros(shape);
  return scope(() => {
    const extents = [...x.shape];
    let result = x;
    let remaining = axes.filter((axis) => extents[axis] !== 1);
    if (remaining.length === 0) return copyInto(empty(x.shape), x).view(shape);
    while (remaining.length > 0) {
      let first = remaining.length - 1;
      while (first > 0 && remaining[first - 1] === remaining[first] - 1) first--;
      const [from, to] = [remaining[first], remaining[remaining.length - 1]];
      remaining = remaining.slice(0, first);
      const outer = sizeOf(extents.slice(0, from));
      const reduced = sizeOf(extents.slice(from, to + 1));
      const inner = sizeOf(extents.slice(to + 1));
      result = reduceGroup(how, result, outer, reduced, inner, remaining.length === 0 ? factor : 1);
      extents.fill(1, from, to + 1);
    }
    return result.view(shape);
  });
}

/** The sum of `x` over all axes along which `shape` was stretched to x's shape: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis < lead || shape[axis - lead] !== x.shape[axis]);
  return reduceAxes("sum", x, axes, shape, 1);
}
