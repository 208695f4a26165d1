// Pooling over windows of an image. x [N,H,W,C] -> y [N,P,Q,C], the gradients gathered (deterministic, no atomics).
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { opScope } from "../scope.ts";
import { asPair, ceilDiv, check, showShape, windowCounts, type Pair } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { single, storedAs, throughSingle } from "./cast.ts";

export interface PoolOptions {
  /** Pixels of a window: one number, or [rows, columns]. */
  kernel: Pair;
  /** Pixels between windows. Default: the kernel, as in PyTorch. */
  stride?: Pair;
  /** Pixels added around the image, at most half a window. Default 0. */
  padding?: Pair;
}

export interface AveragePoolOptions extends PoolOptions {
  /** Whether padding counts in the divisor (its values are zeros). Default true, as in PyTorch. */
  countIncludePad?: boolean;
}

interface Geometry {
  yShape: number[];
  /** Channels of one Element. */
  width: number;
  /** The fields of Params, less the number of Elements. */
  params: {
    channels: number;
    x_size: readonly [number, number];
    y_size: readonly [number, number];
    window: readonly [number, number];
    stride: readonly [number, number];
    padding: readonly [number, number];
  };
}

function geometry(op: string, x: Tensor, options: PoolOptions): Geometry {
  checkImages(op, x);
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const window = asPair(options.kernel);
  const stride = asPair(options.stride ?? options.kernel);
  const padding = asPair(options.padding ?? 0);
  for (const [name, values, least] of [
    ["kernel", window, 1],
    ["stride", stride, 1],
    ["padding", padding, 0],
  ] as const) {
    check(
      values.every((v) => Number.isInteger(v) && v >= least),
      op,
      () => `${name} must be whole numbers from ${least}, got ${showShape(values)}`,
    );
  }
  check(
    padding.every((v, i) => 2 * v <= window[i]),
    op,
    () => `padding ${showShape(padding)} is more than half of the window ${showShape(window)}`,
  );
  const [P, Q] = windowCounts(op, x.shape, { kernel: window, stride, padding });
  const width = C % 4 === 0 ? 4 : 1;
  const params = { channels: C / width, x_size: [H, W], y_size: [P, Q], window, stride, padding } as const;
  return { yShape: [N, P, Q, C], width, params };
}

function checkImages(op: string, x: Tensor): void {
  check(
    x.rank === 4 && x.dtype !== "u32" && x.size > 0,
    op,
    () => `x must be f32 or f16 [N,H,W,C], got ${x.toString()}`,
  );
}

/** f16 comes in fours only. */
const oddHalf = ({ dtype, shape }: Tensor): boolean => dtype === "f16" && shape[shape.length - 1] % 4 !== 0;

const elementTypes = (width: number): { Element: string } => ({ Element: width === 4 ? "vec4f" : "f32" });
const indexTypes = (width: number): { Index: string } => ({ Index: width === 4 ? "vec4u" : "u32" });

/** The largest value of each window. Of equal values the first in reading order gets the gradient, as in PyTorch. */
export function maxPool2d(x: Tensor, options: PoolOptions): Tensor {
  if (oddHalf(x)) return throughSingle(x, (wide) => maxPool2d(wide, options));
  return opScope(() => largestOfWindows(x, options)); // the indices are for the gradient
}

function largestOfWindows(x: Tensor, options: PoolOptions): Tensor {
  const { yShape, width, params } = geometry("maxPool2d", x, options);
  const { dtype } = x;
  const constants = { ...elementTypes(width), ...indexTypes(width), ...storedAs(dtype) };
  const y = empty(yShape, dtype);
  const indices = empty(yShape, "u32");
  const elements = y.size / width;
  launch(kernels.pool.max, {
    bindings: { x, y, indices },
    constants,
    params: { ...params, elements },
    workgroups: ceilDiv(elements, 64),
  });
  return differentiable("maxPool2d", { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape, x.dtype);
      const elements = x.size / width;
      launch(kernels.pool.maxGradient, {
        bindings: { dy, indices, dx },
        constants,
        params: { ...params, elements },
        workgroups: ceilDiv(elements, 64),
      });
      return dx;
    },
  });
}

/** The mean of each window. */
export function avgPool2d(x: Tensor, options: AveragePoolOptions): Tensor {
  if (oddHalf(x)) return throughSingle(x, (wide) => avgPool2d(wide, options));
  const windows = geometry("avgPool2d", x, options);
  return average("avgPool2d", x, windows, empty(windows.yShape, x.dtype), options.countIncludePad ?? true);
}

/** The mean of each channel over the whole image: x [N,H,W,C] -> y [N,C], also of f16 in f32: what follows is small and wants the digits. */
export function globalAvgPool(x: Tensor): Tensor {
  if (oddHalf(x)) return opScope(() => globalAvgPool(single(x)));
  checkImages("globalAvgPool", x);
  const [N, H, W, C] = x.shape as [number, number, number, number];
  return average("globalAvgPool", x, geometry("globalAvgPool", x, { kernel: [H, W] }), empty([N, C]), true);
}

function average(op: string, x: Tensor, { width, params }: Geometry, y: Tensor, countIncludePad: boolean): Tensor {
  const constants = {
    ...elementTypes(width),
    area: countIncludePad ? "params.window.x * params.window.y" : "size.x * size.y",
  };
  const [storedX, storedY] = [storedAs(x.dtype), storedAs(y.dtype)];
  const elements = y.size / width;
  launch(kernels.pool.average, {
    bindings: { x, y },
    constants: {
      ...constants,
      ...(storedX.unpack && { StoredX: storedX.Stored, unpack: storedX.unpack }),
      ...(storedY.pack && { StoredY: storedY.Stored, pack: storedY.pack }),
    },
    params: { ...params, elements },
    workgroups: ceilDiv(elements, 64),
  });
  return differentiable(op, { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape, x.dtype);
      const elements = x.size / width;
      launch(kernels.pool.averageGradient, {
        bindings: { dy, dx },
        constants: {
          ...constants,
          ...(storedY.unpack && { StoredDy: storedY.Stored, unpack: storedY.unpack }),
          ...(storedX.pack && { StoredDx: storedX.Stored, pack: storedX.pack }),
        },
        params: { ...params, elements },
        workgroups: ceilDiv(elements, 64),
      });
      return dx;
    },
  });
}
