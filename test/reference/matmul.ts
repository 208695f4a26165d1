import { type Arr, broadcastShape, broadcastStrides, offsetOf, sizeOf, unravel, zeros } from "./array.ts";

export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/**
 * a [..., M, K] times b [..., K, N] = [..., M, N]; leading axes broadcast as NumPy's. With `transposeA` a is stored [..., K, M],
 * with `transposeB` b is stored [..., N, K].
 */
export function matmul(a: Arr, b: Arr, { transposeA = false, transposeB = false }: MatmulOptions = {}): Arr {
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [M, K] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [N, inner] = transposeB ? [bRows, bColumns] : [bColumns, bRows];
  if (K !== inner) throw new Error(`matmul: inner extents ${K} and ${inner} differ`);
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = broadcastShape(aBatch, bBatch);
  const aSteps = broadcastStrides(aBatch, batch);
  const bSteps = broadcastStrides(bBatch, batch);
  const y = zeros([...batch, M, N]);
  for (let n = 0; n < sizeOf(batch); n++) {
    const index = unravel(n, batch);
    const aBase = offsetOf(index, aSteps) * M * K;
    const bBase = offsetOf(index, bSteps) * K * N;
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) {
        let acc = 0;
        for (let k = 0; k < K; k++) {
          const left = a.data[aBase + (transposeA ? k * M + row : row * K + k)];
          const right = b.data[bBase + (transposeB ? column * K + k : k * N + column)];
          acc += left * right;
        }
        y.data[(n * M + row) * N + column] = acc;
      }
    }
  }
  return y;
}
