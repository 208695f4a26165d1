import { type Arr, map, resolveAxes, sizeOf, zeros } from "./array.ts";

/** log(e^x / sum e^x) along `axis`, the largest value taken out first so that nothing overflows. */
export function logSoftmax(x: Arr, axis = -1): Arr {
  const [a] = resolveAxes(x.shape.length, [axis]) as [number];
  const extent = x.shape[a];
  const inner = sizeOf(x.shape.slice(a + 1));
  const y = zeros(x.shape);
  for (let start = 0; start < x.data.length; start++) {
    if (Math.floor(start / inner) % extent !== 0) continue;
    const at = (i: number): number => x.data[start + i * inner];
    let largest = -Infinity;
    for (let i = 0; i < extent; i++) largest = Math.max(largest, at(i));
    let total = 0;
    for (let i = 0; i < extent; i++) total += Math.exp(at(i) - largest);
    for (let i = 0; i < extent; i++) y.data[start + i * inner] = at(i) - largest - Math.log(total);
  }
  return y;
}

export function softmax(x: Arr, axis = -1): Arr {
  return map(logSoftmax(x, axis), Math.exp);
}

/**
 * Mean over the N rows of logits [N,C] of -sum_c q_c log p_c, where q puts 1 - smoothing on the label and spreads `labelSmoothing`
 * over all C classes, the label included (PyTorch's rule). A scalar: shape [].
 */
export function crossEntropy(
  logits: Arr,
  labels: ArrayLike<number>,
  { labelSmoothing = 0 }: { labelSmoothing?: number } = {},
): Arr {
  const [N, C] = logits.shape as [number, number];
  const logP = logSoftmax(logits);
  const loss = zeros([]);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const q = (labels[n] === c ? 1 - labelSmoothing : 0) + labelSmoothing / C;
      loss.data[0] -= (q * logP.data[n * C + c]) / N;
    }
  }
  return loss;
}
