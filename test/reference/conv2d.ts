import { type Arr, type Pair, pair, zeros } from "./array.ts";

export interface Conv2dOptions {
  stride?: Pair;
  padding?: Pair;
  dilation?: Pair;
  groups?: number;
}

type Shape4 = [number, number, number, number];

/** [N,P,Q,K], after checking that the channels fit the groups. */
function outputShape(xShape: readonly number[], weightShape: readonly number[], options: Conv2dOptions): Shape4 {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const [N, H, W, C] = xShape as Shape4;
  const [R, S, groupC, K] = weightShape as Shape4;
  if (groupC * groups !== C || K % groups !== 0) throw new Error(`conv2d: ${C} -> ${K} channels in ${groups} groups`);
  const extent = (size: number, taps: number, axis: 0 | 1): number =>
    Math.floor((size + 2 * pair(padding)[axis] - pair(dilation)[axis] * (taps - 1) - 1) / pair(stride)[axis]) + 1;
  return [N, extent(H, R, 0), extent(W, S, 1), K];
}

/** Calls `visit` with the flat positions of (y, x, weight) for every product of the definition. */
function forEachProduct(
  xShape: readonly number[],
  weightShape: readonly number[],
  options: Conv2dOptions,
  visit: (y: number, x: number, weight: number) => void,
): void {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
  const [strideH, strideW] = pair(stride);
  const [padH, padW] = pair(padding);
  const [dilationH, dilationW] = pair(dilation);
  const [, H, W, C] = xShape as Shape4;
  const [R, S, groupC] = weightShape as Shape4;
  const [N, P, Q, K] = outputShape(xShape, weightShape, options);
  for (let n = 0; n < N; n++)
    for (let p = 0; p < P; p++)
      for (let q = 0; q < Q; q++)
        for (let r = 0; r < R; r++)
          for (let s = 0; s < S; s++) {
            const h = p * strideH - padH + r * dilationH;
            const w = q * strideW - padW + s * dilationW;
            if (h < 0 || h >= H || w < 0 || w >= W) continue;
            for (let k = 0; k < K; k++) {
              const firstC = Math.floor(k / (K / groups)) * groupC;
              const y = ((n * P + p) * Q + q) * K + k;
              const x = ((n * H + h) * W + w) * C + firstC;
              const weight = (r * S + s) * groupC * K + k;
              for (let c = 0; c < groupC; c++) visit(y, x + c, weight + c * K);
            }
          }
}

/** Cross-correlation as torch's conv2d: x [N,H,W,C], weight [R,S,C/groups,K], bias [K], y [N,P,Q,K]. */
export function conv2d(x: Arr, weight: Arr, options: Conv2dOptions = {}, bias?: Arr): Arr {
  const y = zeros(outputShape(x.shape, weight.shape, options));
  if (bias !== undefined) y.data.forEach((_, i) => (y.data[i] = bias.data[i % bias.data.length]));
  forEachProduct(x.shape, weight.shape, options, (yi, xi, wi) => {
    y.data[yi] += x.data[xi] * weight.data[wi];
  });
  return y;
}

/**
 * The gradients by the chain rule over the same products, for shapes too large for central differences
 * (which check these in reference.test.ts). dy [N,P,Q,K].
 */
export function conv2dGradients(
  x: Arr,
  weight: Arr,
  dy: Arr,
  options: Conv2dOptions = {},
): { dx: Arr; dweight: Arr; dbias: Arr } {
  const dx = zeros(x.shape);
  const dweight = zeros(weight.shape);
  forEachProduct(x.shape, weight.shape, options, (yi, xi, wi) => {
    dx.data[xi] += dy.data[yi] * weight.data[wi];
    dweight.data[wi] += dy.data[yi] * x.data[xi];
  });
  const K = weight.shape[3];
  const dbias = zeros([K]);
  for (let i = 0; i < dy.data.length; i++) dbias.data[i % K] += dy.data[i];
  return { dx, dweight, dbias };
}
