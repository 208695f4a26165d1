// From a layer's map to one of the image's size with values in 0..1. Maps are small, so this is done on the host, in f64.

/** Lowest 0, highest 1 but for the 1e-7 that keeps a map without differences at 0. */
export function minMax(map: Float64Array): Float64Array {
  let [low, high] = [Infinity, -Infinity];
  for (const value of map) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return map.map((value) => (value - low) / (high - low + 1e-7));
}

/** Rows and columns. */
export type Size = readonly [height: number, width: number];

/**
 * Bilinear interpolation of a map [H, W] with half-pixel centres and clamped edges, as cv2.resize and PyTorch's
 * `interpolate(align_corners=False)`; with `corners` the corner pixels lie on each other, as with `align_corners=True`.
 */
export function resizeMap(map: ArrayLike<number>, from: Size, to: Size, corners = false): Float64Array {
  const [height, width] = to;
  const rows = taps(from[0], height, corners);
  const columns = taps(from[1], width, corners);
  const result = new Float64Array(height * width);
  for (let y = 0; y < height; y++) {
    const { low: top, high: bottom, share: down } = rows[y];
    for (let x = 0; x < width; x++) {
      const { low: left, high: right, share: across } = columns[x];
      const row = (at: number): number => map[at * from[1] + left] * (1 - across) + map[at * from[1] + right] * across;
      result[y * width + x] = row(top) * (1 - down) + row(bottom) * down;
    }
  }
  return result;
}

/** Between which two pixels each new pixel lies, and how near to the second. */
function taps(from: number, to: number, corners: boolean): { low: number; high: number; share: number }[] {
  const step = to > 1 ? (from - 1) / (to - 1) : 0;
  return Array.from({ length: to }, (_, i) => {
    const place = corners ? i * step : ((i + 0.5) * from) / to - 0.5;
    const low = Math.min(from - 1, Math.max(0, Math.floor(place)));
    return { low, high: Math.min(from - 1, low + 1), share: Math.max(0, place - low) };
  });
}

/**
 * The map of one image and class out of those of its layers: negative parts cut off, each scaled, resized and averaged, scaled again. The
 * order is pytorch-grad-cam's; all-zero maps stay 0.
 */
export function combineMaps(
  layers: readonly { readonly map: Float64Array; readonly size: Size }[],
  size: Size,
): Float32Array {
  const mean = new Float64Array(size[0] * size[1]);
  for (const layer of layers) {
    const large = resizeMap(minMax(layer.map.map((value) => Math.max(value, 0))), layer.size, size);
    large.forEach((value, i) => (mean[i] += value / layers.length));
  }
  return Float32Array.from(minMax(mean));
}

export const sizePair = (size: number | Size): Size => (typeof size === "number" ? [size, size] : size);
