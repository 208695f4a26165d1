// Winograd's algorithm for 3 x 3 convolutions with stride 1: tiles of m x m outputs from (m + 2) x (m + 2) products instead of
// 9 m m, a quarter of them for m = 4. Lavin and Gray, arXiv:1509.09308. Used on software GPUs where it was measured to be faster.
//
//   forward          V = B^T x B,  U = G w G^T,  m = V U (one matrix product per plane),  y = A^T m A
//   input gradient   the same of dy and the turned weights
//   weight gradient  the exact gradient of the same sum:  dm = A dy A^T,  dU = V^T dm over all tiles,  dw = G^T dU G
import { kernels } from "../../shaders/kernels.ts";
import { currentDevice } from "../current.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import type { Geometry } from "./conv2d-geometry.ts";

/** Output pixels on a tile's side. 4 needs fewer products; 2 needs less memory and rounds a tenth as much. */
export type WinogradTile = 2 | 4;

export type ConvolutionPass = "forward" | "inputGradient" | "weightGradient";

/** The tile that this pass should use on the current device. Null: the direct kernels are faster, or it does not apply. */
export function winogradTile(g: Geometry, pass: ConvolutionPass): WinogradTile | null {
  const { family, winograd, limits } = currentDevice();
  if (winograd === false || family !== "subgroup" || !applies(g)) return null;
  const tile = winograd === true ? fastestTile(g, pass) : winograd;
  return tile !== null && largestBinding(g, tile) <= limits.maxStorageBufferBindingSize ? tile : null;
}

/** Whether the algorithm can compute this convolution. With more padding than 2, the input gradient's would be negative. */
function applies(g: Geometry): boolean {
  const plain = g.groups === 1 && [...g.stride, ...g.dilation].every((n) => n === 1);
  return plain && g.weight[0] === 3 && g.weight[1] === 3 && g.padding.every((n) => n <= 2);
}

function fastestTile(g: Geometry, pass: ConvolutionPass): WinogradTile | null {
  const [, , C, K] = g.weight;
  if (Math.min(C, K) < 64) return null;
  return pass === "forward" ? 4 : 4;
}

/** Bytes of the largest planes of any of the three passes. */
function largestBinding(g: Geometry, tile: WinogradTile): number {
  const [, , C, K] = g.weight;
  const rows = Math.max(tilesOf(g.x, tile).rows, tilesOf(g.y, tile).rows);
  return Math.max(planeBytes(tile, rows, Math.max(C, K)), planeBytes(tile, C, K));
}

/** y [N,P,Q,K] of x [N,H,W,C] and weight [3,3,C,K]. */
export function winogradForward(x: Tensor, weight: Tensor, g: Geometry, tile: WinogradTile): Tensor {
  return scope(() => convolve(x, transformWeight(weight, tile, false), g.y, g.padding, tile));
}

/** dx [N,H,W,C] of dy [N,P,Q,K] and the weights with their channels exchanged, [3,3,K,C]. */
export function winogradInputGradient(dy: Tensor, turned: Tensor, g: Geometry, tile: WinogradTile): Tensor {
  const padding = [2 - g.padding[0], 2 - g.padding[1]] as const;
  return scope(() => convolve(dy, transformWeight(turned, tile, true), g.x, padding, tile));
}

/** dweight [3,3,C,K]. */
export function winogradWeightGradient(x: Tensor, dy: Tensor, g: Geometry, tile: WinogradTile): Tensor {
  return scope(() => {
    const v = transformInput(x, tilesOf(g.y, tile), g.padding, tile);
    const dm = transformGradient(dy, tile);
    const du = planes(tile, g.weight[2], g.weight[3], false);
    multiply(v, dm, du, true);
    const dweight = empty(g.weight);
    const vectors = (g.weight[2] * g.weight[3]) / 4;
    launch(kernels.winograd.weightGradient, {
      bindings: { du: du.values, dweight },
      constants: { TILE: tile },
      params: { vectors, plane_stride: du.planeStride },
      workgroups: ceilDiv(vectors, 64),
    });
    return dweight;
  });
}

type Size4 = readonly [number, number, number, number];

/** The stride-1 correlation of x with transformed weights, of `size` [N,P,Q,K]. */
function convolve(x: Tensor, u: Planes, size: Size4, padding: readonly [number, number], tile: WinogradTile): Tensor {
  const tiles = tilesOf(size, tile);
  const m = scope(() => {
    const v = transformInput(x, tiles, padding, tile);
    const product = planes(tile, tiles.rows, size[3], true);
    multiply(v, u, product, false);
    return product;
  });
  const y = empty(size);
  launch(kernels.winograd.output, {
    bindings: { m: m.values, y },
    constants: { TILE: tile },
    params: { y_size: size, tiles: tiles.perImage, row_stride: m.rowStride, plane_stride: m.planeStride },
    workgroups: ceilDiv(tiles.rows * (size[3] / 4), 64),
  });
  return y;
}

interface Tiles {
  /** Rows and columns of tiles in an image. */
  readonly perImage: readonly [number, number];
  /** Tiles of all images, rounded up to 4: the weight gradient sums over four at a time. */
  readonly rows: number;
}

function tilesOf([N, P, Q]: readonly number[], tile: WinogradTile): Tiles {
  const perImage = [ceilDiv(P, tile), ceilDiv(Q, tile)] as const;
  return { perImage, rows: 4 * ceilDiv(N * perImage[0] * perImage[1], 4) };
}

/** One matrix [rows, columns] for each of the (tile + 2)^2 values of a transformed tile. */
interface Planes {
  readonly values: Tensor;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  /** In vec4s. */
  readonly rowStride: number;
  readonly planeStride: number;
}

/** Rows and planes whose distance is a power of two would all meet in the same few lines of a CPU's first cache: a few vec4s more. */
const ROW_PADDING = 4;
const PLANE_PADDING = 36;

function planes(tile: WinogradTile, rows: number, columns: number, padRows: boolean): Planes {
  const count = (tile + 2) ** 2;
  const rowStride = columns / 4 + (padRows ? ROW_PADDING : 0);
  const planeStride = rows * rowStride + PLANE_PADDING;
  return { values: empty([count, planeStride, 4]), count, rows, columns, rowStride, planeStride };
}

const planeBytes = (tile: WinogradTile, rows: number, columns: number): number =>
  (tile + 2) ** 2 * (rows * (columns / 4 + ROW_PADDING) + PLANE_PADDING) * 16;

function transformInput(x: Tensor, tiles: Tiles, padding: readonly [number, number], tile: WinogradTile): Planes {
  const v = planes(tile, tiles.rows, x.shape[3], true);
  launch(kernels.winograd.input, {
    bindings: { x, v: v.values },
    constants: { TILE: tile },
    params: {
      x_size: x.shape,
      tiles: tiles.perImage,
      padding,
      rows: v.rows,
      row_stride: v.rowStride,
      plane_stride: v.planeStride,
    },
    workgroups: ceilDiv(v.rows * (v.columns / 4), 64),
  });
  return v;
}

function transformGradient(dy: Tensor, tile: WinogradTile): Planes {
  const tiles = tilesOf(dy.shape, tile);
  const dm = planes(tile, tiles.rows, dy.shape[3], true);
  launch(kernels.winograd.outputGradient, {
    bindings: { dy, dm: dm.values },
    constants: { TILE: tile },
    params: {
      dy_size: dy.shape,
      tiles: tiles.perImage,
      rows: dm.rows,
      row_stride: dm.rowStride,
      plane_stride: dm.planeStride,
    },
    workgroups: ceilDiv(dm.rows * (dm.columns / 4), 64),
  });
  return dm;
}

/** weight [3,3,C,K]; `flip` turns the taps around. */
function transformWeight(weight: Tensor, tile: WinogradTile, flip: boolean): Planes {
  const [, , C, K] = weight.shape as Size4;
  const u = planes(tile, C, K, false);
  const vectors = (C * K) / 4;
  launch(kernels.winograd.weight, {
    bindings: { weight, u: u.values },
    constants: { TILE: tile },
    params: { vectors, plane_stride: u.planeStride, flip: flip ? 1 : 0 },
    workgroups: ceilDiv(vectors, 64),
  });
  return u;
}

/** y = a b, or with `transposed` y = a^T b, plane by plane. */
function multiply(a: Planes, b: Planes, y: Planes, transposed: boolean): void {
  const LANES = currentDevice().info.subgroupSize;
  launch(kernels.winograd.multiply, {
    bindings: { a: a.values, b: b.values, y: y.values },
    constants: { LANES, TRANSPOSED: transposed },
    params: {
      planes: y.count,
      rows: y.rows,
      columns: y.columns / 4,
      depth: b.rows,
      a_stride: a.rowStride,
      a_plane: a.planeStride,
      b_stride: b.rowStride,
      b_plane: b.planeStride,
      y_stride: y.rowStride,
      y_plane: y.planeStride,
    },
    workgroups: y.count * ceilDiv(y.rows, 4 * LANES) * ceilDiv(y.columns, 4 * LANES),
    flops: 2 * y.count * y.rows * y.columns * b.rows,
  });
}
