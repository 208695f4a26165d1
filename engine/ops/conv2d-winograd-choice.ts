// Whether Winograd's algorithm (conv2d-winograd.ts) computes a convolution, and with which tiles.
import { currentDevice } from "../current.ts";
import { ceilDiv } from "../shape.ts";
import type { Geometry } from "./conv2d-geometry.ts";
import { rowPlaces } from "./conv2d-subgroup.ts";

/** Output pixels on a tile's side. 4 needs fewer products for large images; 2 rounds less and wastes less at borders. */
export type WinogradTile = 2 | 4;

/** The tile for this convolution on the current device. Null: the direct kernels are faster, or the algorithm does not apply. */
export function winogradTile(g: Geometry): WinogradTile | null {
  const { family, winograd, limits } = currentDevice();
  if (winograd === false || family === "portable" || !applies(g)) return null;
  const tile = winograd !== true ? winograd : family === "workgroup" ? workgroupTile(g) : fastestTile(g);
  return tile !== null && largestPlanes(g, tile) <= limits.maxStorageBufferBindingSize ? tile : null;
}

/** The tiles with which the algorithm can compute this convolution on the current device and, by estimate, may well be the faster. */
export function winogradTiles(g: Geometry): WinogradTile[] {
  const { family, limits } = currentDevice();
  if (family === "portable" || !applies(g) || Math.min(g.weight[2], g.weight[3]) < FEWEST_CHANNELS) return [];
  const gains = { 2: gain(g, 2), 4: gain(g, 4) };
  const likely = (tile: WinogradTile): boolean =>
    family === "workgroup" || gains[tile] >= MARGIN * Math.max(1, gains[2], gains[4]);
  return ([2, 4] as const).filter(
    (tile) => likely(tile) && largestPlanes(g, tile) <= limits.maxStorageBufferBindingSize,
  );
}

/** With fewer the transforms take longer than the products. */
const FEWEST_CHANNELS = 16;
/** Estimates are right within some 15 %. Each tile that is measured costs 3 s of compiling. */
const MARGIN = 0.85;

/** Whether the algorithm can compute this convolution. With more padding than 2, the input gradient's would be negative. */
function applies(g: Geometry): boolean {
  const plain = g.groups === 1 && [...g.stride, ...g.dilation].every((n) => n === 1);
  return plain && g.weight[0] === 3 && g.weight[1] === 3 && g.padding.every((n) => n <= 2);
}

/**
 * Narrower layers gain too (1.2 times at 32 channels), but the kernels take 3 s to compile on a software GPU that has not seen
 * them: a small net whose only wide layers are 64 channels on 8 x 8 pixels (ResNet-8) would wait longer than it saves in its first epoch. Where
 * many such layers are worth it, `tune()` finds out.
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

/** Asked of the estimate for real GPUs, which nothing has confirmed. */
const MIN_GAIN = 1.3;

function fastestTile(g: Geometry): WinogradTile | null {
  if (!worthCompiling(g)) return null;
  const [gain4, gain2] = [gain(g, 4), gain(g, 2)];
  // Most layers take 4: where 2 is hardly better, it would only add kernels to compile.
  if (gain4 >= 1 && gain4 >= MARGIN * gain2) return 4;
  return gain2 >= 1 ? 2 : null;
}

/**
 * How many times as fast as the direct kernels, for all three passes, on software GPUs. As measured on lavapipe with 32 to 512 channels, in
 * multiply-adds for a pair of channels: the products as fast as direct tiles, which are 0.7 of the speed of rows (conv2d-subgroup.ts); the
 * weights' transform like 16 tiles more, the transforms of x and y like 22 channels more each.
 */
function gain(g: Geometry, tile: WinogradTile): number {
  const { rows } = tilesOf(g.y, tile);
  const [N, P, Q] = g.y;
  const [, , C, K] = g.weight;
  const products = (tile + 2) ** 2 * (wholeTiles(rows) + 16 + rows * (22 / C + 22 / K));
  const byRows = rowPlaces(g.y).filled >= 0.75;
  return ((byRows ? 0.7 : 1) * 9 * wholeTiles(N * P * Q)) / products;
}

/** Rows that the kernels compute: their tiles have 32. */
const wholeTiles = (rows: number): number => 32 * ceilDiv(rows, 32);

/** Bytes of the largest planes of the three passes: every pass fits, or none uses the algorithm. */
function largestPlanes(g: Geometry, tile: WinogradTile): number {
  const [, , C, K] = g.weight;
  const rows = Math.max(tilesOf(g.x, tile).rows, tilesOf(g.y, tile).rows, C, K);
  return 4 * (tile + 2) ** 2 * rows * Math.max(C, K);
}

export interface Tiles {
  /** Rows and columns of tiles in an image. */
  readonly perImage: readonly [number, number];
  /** Tiles of all images, rounded up to 4 because the weight gradient sums over four at a time. */
  readonly rows: number;
}

export function tilesOf([N, P, Q]: Geometry["x"], tile: WinogradTile): Tiles {
  const perImage = [ceilDiv(P, tile), ceilDiv(Q, tile)] as const;
  return { perImage, rows: 4 * ceilDiv(N * perImage[0] * perImage[1], 4) };
}
