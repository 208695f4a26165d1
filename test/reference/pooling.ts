import { type Arr, type Pair, build, pair } from "./array.ts";
import { mean } from "./reduce.ts";

export interface PoolOptions {
  kernel: Pair;
  /** Defaults to the kernel, as in PyTorch. */
  stride?: Pair;
  padding?: Pair;
}

/** Builds y [N,P,Q,C] from the values of x that each window covers (padding left out) and the window's full size. */
function pool(x: Arr, options: PoolOptions, f: (values: number[], windowSize: number) => number): Arr {
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const [R, S] = pair(options.kernel);
  const [strideH, strideW] = pair(options.stride ?? options.kernel);
  const [padH, padW] = pair(options.padding ?? 0);
  const P = Math.floor((H + 2 * padH - R) / strideH) + 1;
  const Q = Math.floor((W + 2 * padW - S) / strideW) + 1;
  return build([N, P, Q, C], (index) => {
    const [n, p, q, c] = index as [number, number, number, number];
    const values: number[] = [];
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const h = p * strideH - padH + r;
        const w = q * strideW - padW + s;
        if (h >= 0 && h < H && w >= 0 && w < W) values.push(x.data[((n * H + h) * W + w) * C + c]);
      }
    }
    return f(values, R * S);
  });
}

/** Padding counts as minus infinity. */
export function maxPool2d(x: Arr, options: PoolOptions): Arr {
  return pool(x, options, (values) => values.reduce((best, value) => Math.max(best, value), -Infinity));
}

/** With `countIncludePad` (PyTorch's default) the padding's zeros count in the divisor. */
export function avgPool2d(
  x: Arr,
  { countIncludePad = true, ...options }: PoolOptions & { countIncludePad?: boolean },
): Arr {
  return pool(x, options, (values, windowSize) => {
    const total = values.reduce((acc, value) => acc + value, 0);
    return total / (countIncludePad ? windowSize : values.length);
  });
}

/** x [N,H,W,C] -> [N,C], or [N,1,1,C] with `keepDims`. */
export function globalAveragePool(x: Arr, keepDims = false): Arr {
  return mean(x, { axes: [1, 2], keepDims });
}
