// Computations whose results are known, on the device and in float64 beside it.
import { conv2d, fromData, matmul, scope, type Tensor } from "../../../engine/index.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Largest difference from the float64 result, relative to the largest result. */
  readonly worst: number;
  /** Compiling the kernels is most of it. */
  readonly milliseconds: number;
}

/** Multiples of 1/8 in -1..1: their products and short sums are exact in float32, so that any difference is an error. Half precision holds such sums, too. */
const pattern = (size: number, stride: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (((i * stride + 3) % 17) - 8) / 8);

/** Multiplies two matrices, and convolves four images forward and backward, in both precisions that training has. */
export async function selfTest(): Promise<Check[]> {
  return [
    await checkMatmul(24, 36, 20),
    ...(await checkConvolution(4, 9, 8, 16, "f32")),
    ...(await checkConvolution(4, 9, 8, 16, "f16")),
  ];
}

async function checkMatmul(M: number, K: number, N: number): Promise<Check> {
  const [a, b] = [pattern(M * K, 5), pattern(K * N, 7)];
  const want = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) want[m * N + n] += a[m * K + k] * b[k * N + n];
    }
  }
  return compare(`matmul ${M} x ${K} x ${N}`, want, () => matmul(fromData(a, [M, K]), fromData(b, [K, N])));
}

/** x [N,S,S,C], weight [3,3,C,K], padding 1: the result and the gradients of the sum of dy y. */
async function checkConvolution(N: number, S: number, C: number, K: number, dtype: "f32" | "f16"): Promise<Check[]> {
  const [x, weight, dy] = [pattern(N * S * S * C, 5), pattern(9 * C * K, 7), pattern(N * S * S * K, 11)];
  const want = {
    y: new Float64Array(dy.length),
    dx: new Float64Array(x.length),
    dweight: new Float64Array(weight.length),
  };
  const taps = [-1, 0, 1].flatMap((r) => [-1, 0, 1].map((s) => [r, s] as const));
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < S; p++) {
      for (let q = 0; q < S; q++) {
        taps.forEach(([r, s], tap) => {
          if (p + r < 0 || p + r >= S || q + s < 0 || q + s >= S) return;
          const pixel = ((n * S + p + r) * S + q + s) * C;
          const out = ((n * S + p) * S + q) * K;
          for (let c = 0; c < C; c++) {
            for (let k = 0; k < K; k++) {
              const w = (tap * C + c) * K + k;
              want.y[out + k] += x[pixel + c] * weight[w];
              want.dx[pixel + c] += dy[out + k] * weight[w];
              want.dweight[w] += x[pixel + c] * dy[out + k];
            }
          }
        });
      }
    }
  }
  const name = `conv2d 3 x 3, ${N} x ${S} x ${S}, ${C} to ${K} channels, ${dtype}`;
  const images = fromData(x, [N, S, S, C], dtype);
  const weights = fromData(weight, [3, 3, C, K]);
  images.requiresGrad = weights.requiresGrad = true;
  try {
    const forward = (): Tensor => conv2d(images, weights, { padding: 1 });
    const backward = (): void =>
      forward()
        .to("f32")
        .mul(fromData(dy, [N, S, S, K]))
        .sum()
        .backward();
    const y = await compare(name, want.y, forward);
    const start = performance.now();
    scope(backward);
    const dx = await compare(`${name}, gradient of x`, want.dx, () => images.grad!.to("f32"), start);
    return [y, dx, await compare(`${name}, gradient of weight`, want.dweight, () => weights.grad!.to("f32"))];
  } finally {
    for (const tensor of [images.grad, weights.grad, images, weights]) tensor?.dispose();
  }
}

async function compare(
  name: string,
  want: Float64Array,
  compute: () => Tensor,
  start = performance.now(),
): Promise<Check> {
  const result = scope(compute);
  const got = await result.data();
  result.dispose();
  const milliseconds = performance.now() - start;
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let worst = 0;
  want.forEach((value, i) => {
    const error = Math.abs(got[i] - value) / largest;
    // A NaN is the largest error of all.
    worst = error >= 0 ? Math.max(worst, error) : Infinity;
  });
  return { name, ok: worst === 0, worst, milliseconds };
}
