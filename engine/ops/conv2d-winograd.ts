// Winograd's algorithm for 3 x 3 convolutions with stride 1: tiles of m x m outputs from (m + 2) x (m + 2) products instead of
// 9 m m: a quarter of them for m = 4. Lavin and Gray, arXiv:1509.09308. Used where it was measured to be faster, on software GPUs, or
// is estimated to be, on real ones; never by the portable kernels.
//
//   forward          V = B^T x B,  U = G w G^T,  m = V U (one matrix product per plane),  y = A^T m A
//   input gradient   the same of dy and the transposed U: tiles are turned around instead of the weights' taps
//   weight gradient  the exact gradient of the same sum:  dm = A dy A^T,  dU = V^T dm over all tiles,  dw = G^T dU G
//
// Planes: V, U and m are stored as one matrix for each of the (m + 2)^2 values of a transformed tile.
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type DType, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { loadedAs, storedAs } from "./cast.ts";
import { noPartials, turnWeights, type Forward, type Geometry, type Keep } from "./conv2d-geometry.ts";
import { multiplyPlanes } from "./conv2d-winograd-workgroup.ts";

/** Output pixels on a tile's side. 4 needs fewer products for large images; 2 rounds less and wastes less at borders. */
export type WinogradTile = 2 | 4;

type Size4 = readonly [number, number, number, number];
type Size2 = readonly [number, number];

/** The tile for this convolution on the current device. Null: the direct kernels are faster, or the algorithm does not apply. */
export function winogradTile(g: Geometry): WinogradTile | null {
  const { family, winograd, limits } = currentDevice();
  if (winograd === false || family === "portable" || !applies(g)) return null;
  const tile = winograd !== true ? winograd : family === "workgroup" ? workgroupTile(g) : fastestTile(g);
  return tile !== null && largestPlanes(g, tile) <= limits.maxStorageBufferBindingSize ? tile : null;
}

/** The tiles with which the algorithm can compute this convolution on the current device, and may well be worth it. */
export function winogradTiles(g: Geometry): WinogradTile[] {
  const { family, limits } = currentDevice();
  if (family === "portable" || !applies(g) || Math.min(g.weight[2], g.weight[3]) < FEWEST_CHANNELS) return [];
  return ([2, 4] as const).filter((tile) => largestPlanes(g, tile) <= limits.maxStorageBufferBindingSize);
}

/** With fewer the transforms take longer than the products. */
const FEWEST_CHANNELS = 16;

/** Whether the algorithm can compute this convolution. With more padding than 2, the input gradient's would be negative. */
function applies(g: Geometry): boolean {
  const plain = g.groups === 1 && [...g.stride, ...g.dilation].every((n) => n === 1);
  return plain && g.weight[0] === 3 && g.weight[1] === 3 && g.padding.every((n) => n <= 2);
}

/**
 * Narrower layers gain too (1.4 times at 32 channels), but the kernels take 8 s to compile on a software GPU that has not seen
 * them: a net whose only wide layers are 64 channels on 8 x 8 pixels (the CIFAR family) would wait longer than it saves.
 */
const MIN_CHANNELS = 64;
const WIDE_CHANNELS = 128;
/** Multiply-adds of an image and a tap from which 64 channels are worth it: half of a ResNet-18 layer's on CIFAR. */
const MIN_PRODUCTS = 2 ** 21;

function worthCompiling(g: Geometry): boolean {
  const [, P, Q, K] = g.y;
  const C = g.weight[2];
  const channels = Math.min(C, K);
  return channels >= WIDE_CHANNELS || (channels >= MIN_CHANNELS && C * K * P * Q >= MIN_PRODUCTS);
}

/** Multiply-adds in the time in which a real GPU stores a value and loads it again. */
const STORED_AND_LOADED = 44;

/**
 * On real GPUs: 4 or nothing. Estimated, not measured, in multiply-adds for a pair of channels: at 45 TFLOP/s and 4.3 TB/s there are
 * 44 of them while a value is stored and loaded again.
 */
function workgroupTile(g: Geometry): WinogradTile | null {
  const [N, P, Q, K] = g.y;
  const C = g.weight[2];
  if (Math.min(C, K) < MIN_CHANNELS) return null;
  const { rows } = tilesOf(g.y, 4);
  const cost = 36 * (rows + (rows / C + rows / K + 1) * STORED_AND_LOADED);
  return (9 * N * P * Q) / cost >= MIN_GAIN ? 4 : null;
}

/** Asked of the estimate, which is right within 20 %. */
const MIN_GAIN = 1.3;

function fastestTile(g: Geometry): WinogradTile | null {
  if (!worthCompiling(g)) return null;
  const [N, P, Q] = g.y;
  const direct = 9 * wholeTiles(N * P * Q);
  const [gain4, gain2] = [direct / winogradCost(g, 4), direct / winogradCost(g, 2)];
  // Most layers take 4: where 2 is hardly better, it would only add kernels to compile.
  if (gain4 >= MIN_GAIN && gain4 >= 0.85 * gain2) return 4;
  return gain2 >= MIN_GAIN ? 2 : null;
}

/**
 * Time for a pair of channels, in multiply-adds of the direct kernels, as measured on lavapipe with 64 to 512 channels: the
 * products at the same speed, the weights' transform like 16 tiles more, the transforms of x and y like 22 channels more each.
 */
function winogradCost(g: Geometry, tile: WinogradTile): number {
  const { rows } = tilesOf(g.y, tile);
  const [, , C, K] = g.weight;
  return (tile + 2) ** 2 * (wholeTiles(rows) + 16 + rows * (22 / C + 22 / K));
}

/** Rows that the kernels compute: their tiles have 32. */
const wholeTiles = (rows: number): number => 32 * ceilDiv(rows, 32);

/** Bytes of the largest planes of the three passes: every pass fits, or none uses the algorithm. */
function largestPlanes(g: Geometry, tile: WinogradTile): number {
  const [, , C, K] = g.weight;
  const rows = Math.max(tilesOf(g.x, tile).rows, tilesOf(g.y, tile).rows, C, K);
  return 4 * (tile + 2) ** 2 * rows * Math.max(C, K);
}

/** y [N,P,Q,K] of x [N,H,W,C] and weight [3,3,C,K]; with `stats` batch norm's partial sums; `keep` says which transforms, if not too large. */
export function winogradForward(
  x: Tensor,
  weight: Tensor,
  g: Geometry,
  tile: WinogradTile,
  stats: boolean,
  keep: Keep,
): Forward {
  return scope(() => {
    const tiles = tilesOf(g.y, tile);
    const v = transformInput(x, tiles, g.padding, tile);
    const u = transformWeight(weight, tile);
    const m = multiply(v, u, "forward");
    const fits = (t: Tensor): boolean => 4 * t.size <= currentDevice().keptTransformBytes;
    // The products of real GPUs do not transpose U: they want the turned weights'.
    const kept = { x: keep.x && fits(v) ? v : null, weight: keep.weight && uInBlocks() && fits(u) ? u : null };
    if (!kept.weight) u.dispose(); // before y takes memory
    return { ...transformOutput(m, g.y, tiles, tile, stats, x.dtype), kept };
  });
}

/** dx [N,H,W,C] of dy [N,P,Q,K] and weight [3,3,C,K], or of dy and U where the forward pass kept it; added to `sum` where that is given. */
export function winogradInputGradient(
  dy: Tensor,
  weight: Tensor,
  g: Geometry,
  tile: WinogradTile,
  kept: Tensor | null,
  sum: Tensor | null,
): Tensor {
  return scope(() => {
    const tiles = tilesOf(g.x, tile);
    const v = transformInput(dy, tiles, [2 - g.padding[0], 2 - g.padding[1]], tile, true);
    const u = isOf(kept, tile) ? kept : transformWeight(uInBlocks() ? weight : turnWeights(weight, g), tile);
    const m = multiply(v, u, "inputGradient");
    return transformOutput(m, g.x, tiles, tile, false, dy.dtype, { sum }).y;
  });
}

/** Not of another tile size, as when the setting has changed since the forward pass. */
const isOf = (kept: Tensor | null, tile: WinogradTile): kept is Tensor => kept?.shape[0] === (tile + 2) ** 2;

/** dweight [3,3,C,K] of x and dy, or of V where the forward pass kept it, and dy. */
export function winogradWeightGradient(
  x: Tensor,
  dy: Tensor,
  g: Geometry,
  tile: WinogradTile,
  kept: Tensor | null,
  into: Tensor | null,
): Tensor {
  return scope(() => {
    const tiles = tilesOf(g.y, tile);
    const v = isOf(kept, tile) ? kept : transformInput(x, tiles, g.padding, tile);
    const du = multiply(v, transformGradient(dy, tiles, tile), "weightGradient");
    const dweight = into ?? empty(g.weight);
    const vectors = (g.weight[2] * g.weight[3]) / 4;
    launch(kernels.winograd.weightGradient, {
      bindings: { du, dweight },
      constants: { TILE: tile, ROLLED: rolled() },
      params: { vectors, span: tile + 2 },
      workgroups: ceilDiv(vectors, 64),
    });
    return dweight;
  });
}

/**
 * y of `size` [N,P,Q,K] from its tiles m, and with `stats` their means and squared deviations, if all tiles are whole. `turned`: each tile
 * turned around, and added to `sum` if there is one.
 */
function transformOutput(
  m: Tensor,
  size: Size4,
  tiles: Tiles,
  tile: WinogradTile,
  stats: boolean,
  dtype: DType,
  turned?: { sum: Tensor | null },
): { y: Tensor; partials: BatchNormPartials | null } {
  const [N, P, Q, K] = size;
  const sums = stats && P % tile === 0 && Q % tile === 0;
  return scope(() => {
    const y = turned?.sum ?? empty(size, dtype);
    const partials = sums ? empty([N * tiles.perImage[0] * tiles.perImage[1], 2, K]) : noPartials();
    launch(kernels.winograd.output, {
      bindings: { m, y, partials },
      constants: { TILE: tile, ROLLED: rolled(), ...storedAs(dtype) },
      params: {
        y_size: size,
        tiles: tiles.perImage,
        rows: tiles.rows,
        stats: sums ? 1 : 0,
        turned: turned ? 1 : 0,
        adds: turned?.sum ? 1 : 0,
        span: tile + 2,
      },
      workgroups: ceilDiv(tiles.rows * (K / 4), 64),
    });
    return { y, partials: sums ? { means: partials, rowsPerTile: tile ** 2, rows: N * P * Q } : null };
  });
}

interface Tiles {
  /** Rows and columns of tiles in an image. */
  readonly perImage: Size2;
  /** Tiles of all images, rounded up to 4 because the weight gradient sums over four at a time. */
  readonly rows: number;
}

function tilesOf([N, P, Q]: Size4, tile: WinogradTile): Tiles {
  const perImage = [ceilDiv(P, tile), ceilDiv(Q, tile)] as const;
  return { perImage, rows: 4 * ceilDiv(N * perImage[0] * perImage[1], 4) };
}

/** Software GPUs gain by loops that their compiler does not unroll: their code is then in the cache for instructions. */
const rolled = (): boolean => currentDevice().family === "subgroup";

/** V [planes, tiles, C], of x's tiles or, if `turned`, of these turned around. */
function transformInput(
  x: Tensor,
  { perImage, rows }: Tiles,
  padding: Size2,
  tile: WinogradTile,
  turned = false,
): Tensor {
  const C = x.shape[3];
  const v = empty([(tile + 2) ** 2, rows, C]);
  launch(kernels.winograd.input, {
    bindings: { x, v },
    constants: { TILE: tile, ...loadedAs(x.dtype) },
    params: { x_size: x.shape, tiles: perImage, padding, rows, turned: turned ? 1 : 0 },
    workgroups: ceilDiv(rows * (C / 4), 64),
  });
  return v;
}

/** Software GPUs store U in blocks of 4 x 4 channels: their products then take it transposed at no cost. */
const uInBlocks = (): boolean => currentDevice().family === "subgroup";

/** U [planes, C, K] of weight [3,3,C,K]; the order within a plane is the kernels' affair. */
function transformWeight(weight: Tensor, tile: WinogradTile): Tensor {
  const [, , C, K] = weight.shape as unknown as Size4;
  const u = empty([(tile + 2) ** 2, C, K]);
  const vectors = (C * K) / 4;
  launch(kernels.winograd.weight, {
    bindings: { weight, u },
    constants: { TILE: tile, IN_BLOCKS: uInBlocks() },
    params: { vectors, columns: K / 4 },
    workgroups: ceilDiv(vectors, 64),
  });
  return u;
}

/** dm [planes, tiles, K]. */
function transformGradient(dy: Tensor, { perImage, rows }: Tiles, tile: WinogradTile): Tensor {
  const K = dy.shape[3];
  const dm = empty([(tile + 2) ** 2, rows, K]);
  launch(kernels.winograd.outputGradient, {
    bindings: { dy, dm },
    constants: { TILE: tile, ...loadedAs(dy.dtype) },
    params: { dy_size: dy.shape, tiles: perImage, rows },
    workgroups: ceilDiv(rows * (K / 4), 64),
  });
  return dm;
}

type Pass = "forward" | "inputGradient" | "weightGradient";

/**
 * One product for each plane, [planes, rows, columns]: V U [tiles, C] [C, K] forward, V of dy times the transposed U [tiles, K] [K, C] for
 * the input gradient, the transposed V times dm [C, tiles] [tiles, K] for the weight gradient.
 */
function multiply(a: Tensor, b: Tensor, pass: Pass): Tensor {
  const transposed = pass === "weightGradient";
  if (currentDevice().family === "workgroup") return multiplyPlanes(a, b, transposed);
  const LANES = currentDevice().info.subgroupSize;
  const [planes, rows, depth] = (transposed ? [a.shape[0], a.shape[2], a.shape[1]] : a.shape) as [
    number,
    number,
    number,
  ];
  const columns = b.size / (planes * depth);
  const y = empty([planes, rows, columns]);
  launch(kernels.winograd.multiply, {
    bindings: { a, b, y },
    constants: { LANES, A_TRANSPOSED: transposed, B_TRANSPOSED: pass === "inputGradient" },
    params: { planes, rows, columns: columns / 4, depth },
    workgroups: planes * ceilDiv(rows, 4 * LANES) * ceilDiv(columns, 4 * LANES),
    flops: 2 * planes * rows * columns * depth,
  });
  return y;
}
