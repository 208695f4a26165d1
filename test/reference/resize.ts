import { type Arr, build } from "./array.ts";

/**
 * The two source positions and the share of the second for each output position: half-pixel centres, clamped at the edges
 * (torch's interpolate with align_corners=False).
 */
function taps(inputSize: number, outputSize: number): { low: number; high: number; share: number }[] {
  return Array.from({ length: outputSize }, (_, i) => {
    const centre = Math.max(0, ((i + 0.5) * inputSize) / outputSize - 0.5);
    const low = Math.min(Math.floor(centre), inputSize - 1);
    return { low, high: Math.min(low + 1, inputSize - 1), share: centre - low };
  });
}

/** x [N,H,W,C] -> [N,height,width,C], without an anti-aliasing filter when it shrinks, as torch's default. */
export function resizeBilinear(x: Arr, height: number, width: number): Arr {
  const [N, H, W, C] = x.shape as [number, number, number, number];
  const rows = taps(H, height);
  const columns = taps(W, width);
  return build([N, height, width, C], (index) => {
    const [n, p, q, c] = index as [number, number, number, number];
    const at = (h: number, w: number): number => x.data[((n * H + h) * W + w) * C + c];
    const row = rows[p];
    const column = columns[q];
    const top = (1 - column.share) * at(row.low, column.low) + column.share * at(row.low, column.high);
    const bottom = (1 - column.share) * at(row.high, column.low) + column.share * at(row.high, column.high);
    return (1 - row.share) * top + row.share * bottom;
  });
}
