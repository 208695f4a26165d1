// Filling in removed pixels so that nothing tells where they were: ROAD's noisy linear imputation.
import type { HostImages } from "./confidence.ts";

/** The eight neighbours: row and column offset, and the weight of what stands there. */
const NEIGHBOURS = [-1, 0, 1].flatMap((dy) =>
  [-1, 0, 1]
    .filter((dx) => dx !== 0 || dy !== 0)
    .map((dx) => ({ dy, dx, weight: dx === 0 || dy === 0 ? 1 / 6 : 1 / 12 })),
);
const WEIGHTS = Float64Array.from(NEIGHBOURS, ({ weight }) => weight);
const TOLERANCE = 1e-7;

/**
 * The image with its removed pixels filled in: each becomes the weighted mean of its neighbours (1/6 beside, 1/12 across a corner; those
 * outside the image drop out), solved for all at once, plus noise. Where nothing is kept, the mean of each channel stands in.
 *
 * Source: Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", 2022.
 *
 * @param image [H, W, C] @param kept [H, W]: which pixels stay @param noise called for each value that is filled in
 */
export function impute(
  image: Float32Array,
  kept: ArrayLike<boolean>,
  { width, height, channels }: Omit<HostImages, "data">,
  noise: () => number,
): Float32Array {
  const result = Float32Array.from(image);
  const system = makeSystem(kept, width, height);
  const { pixels } = system;
  for (let c = 0; c < channels; c++) {
    const plane = Float64Array.from({ length: width * height }, (_, i) => image[i * channels + c]);
    const filled = pixels.length === plane.length ? averages(plane) : solve(system, plane);
    pixels.forEach((pixel, i) => (result[pixel * channels + c] = filled[i] + noise()));
  }
  return result;
}

/** diagonal * x = sum of the weighted neighbours: unknown ones by their number, known ones by their pixel. */
interface System {
  /** The pixel of each unknown. */
  readonly pixels: readonly number[];
  /** [unknowns, 8]: the neighbour's number, or `pixels.length` for none. */
  readonly unknown: Int32Array;
  /** [unknowns, 8]: the neighbour's pixel, or -1. */
  readonly known: Int32Array;
  readonly diagonal: Float64Array;
}

function makeSystem(kept: ArrayLike<boolean>, width: number, height: number): System {
  const pixels = Array.from({ length: width * height }, (_, i) => i).filter((i) => !kept[i]);
  const numbers = new Int32Array(width * height).fill(pixels.length);
  pixels.forEach((pixel, i) => (numbers[pixel] = i));
  const unknown = new Int32Array(pixels.length * 8).fill(pixels.length);
  const known = new Int32Array(pixels.length * 8).fill(-1);
  const diagonal = new Float64Array(pixels.length);
  pixels.forEach((pixel, i) => {
    const x = pixel % width;
    const y = (pixel - x) / width;
    NEIGHBOURS.forEach(({ dx, dy, weight }, k) => {
      if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) return;
      const neighbour = pixel + dy * width + dx;
      diagonal[i] += weight;
      if (kept[neighbour]) known[i * 8 + k] = neighbour;
      else unknown[i * 8 + k] = numbers[neighbour];
    });
  });
  return { pixels, unknown, known, diagonal };
}

/** Conjugate gradients with the diagonal as preconditioner: the system is symmetric and, where a pixel is known, positive definite. */
function solve({ pixels, unknown, known, diagonal }: System, plane: Float64Array): Float64Array {
  const n = pixels.length;
  const residual = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 8; k++) if (known[i * 8 + k] >= 0) residual[i] += WEIGHTS[k] * plane[known[i * 8 + k]];
  }
  // One more entry, always zero, stands for neighbours that are no unknowns.
  const x = new Float64Array(n + 1);
  const direction = new Float64Array(n + 1);
  const image = new Float64Array(n);
  const enough = TOLERANCE ** 2 * dot(residual, residual, n);
  let product = 0;
  for (let iteration = 0; iteration < n + 100 && dot(residual, residual, n) > enough; iteration++) {
    let next = 0;
    for (let i = 0; i < n; i++) next += residual[i] ** 2 / diagonal[i];
    const beta = iteration === 0 ? 0 : next / product;
    product = next;
    for (let i = 0; i < n; i++) direction[i] = residual[i] / diagonal[i] + beta * direction[i];
    for (let i = 0; i < n; i++) {
      let sum = diagonal[i] * direction[i];
      for (let k = 0; k < 8; k++) sum -= WEIGHTS[k] * direction[unknown[i * 8 + k]];
      image[i] = sum;
    }
    const step = product / dot(direction, image, n);
    for (let i = 0; i < n; i++) {
      x[i] += step * direction[i];
      residual[i] -= step * image[i];
    }
  }
  return x;
}

function dot(a: Float64Array, b: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

const averages = (plane: Float64Array): Float64Array =>
  new Float64Array(plane.length).fill(plane.reduce((sum, value) => sum + value, 0) / plane.length);
