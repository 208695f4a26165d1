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
import { ENOUGH_LOADS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv } from "../shape.ts";
import { empty, type DType, type Tensor } from "../tensor.ts";
import type { BatchNormPartials } from "./batch-norm.ts";
import { loadedAs, storedAs } from "./cast.ts";
import { noPartials, turnWeights, type Forward, type Geometry, type Keep } from "./conv2d-geometry.ts";
import { tilesOf, type Tiles, type WinogradTile } from "./conv2d-winograd-choice.ts";
import { multiplyPlanes } from "./conv2d-winograd-workgroup.ts";

type Size4 = readonly [number, number, number, number];
type Size2 = readonly [number, number];

/**
 * Software GPUs store U in blocks of 4 x 4 channels, which their products take transposed at no cost; and they gain by loops that their
 * compiler does not unroll (ROLLED), whose code is then in the cache for instructions.
 */
const bySubgroups = (): boolean => currentDevice().family === "subgroup";

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
    const kept = { x: keep.x && fits(v) ? v : null, weight: keep.weight && bySubgroups() && fits(u) ? u : null };
    if (!kept.weight) u.dispose(); // before y takes memory
    return { ...transformOutput(m, g.y, tiles, tile, x.dtype, { stats }), kept };
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
    const inBlocks = bySubgroups();
    const reusable = inBlocks && isOf(kept, tile);
    const u = reusable ? kept : transformWeight(inBlocks ? weight : turnWeights(weight, g), tile);
    const m = multiply(v, u, "inputGradient");
    return transformOutput(m, g.x, tiles, tile, dy.dtype, { turned: true, sum }).y;
  });
}

/** Not of another tile size, as when the setting has changed since the forward pass, and not gone with a scope of the forward pass alone. */
const isOf = (kept: Tensor | null, tile: WinogradTile): kept is Tensor =>
  kept !== null && !kept.disposed && kept.shape[0] === (tile + 2) ** 2;

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
      constants: { TILE: tile, ROLLED: bySubgroups() },
      params: { vectors, span: tile + 2 },
      workgroups: ceilDiv(vectors, 64),
    });
    return dweight;
  });
}

/**
 * y of `size` [N,P,Q,K] from its tiles m, turned around if `turned`, and added to `sum` if there is one; with `stats` their means and squared
 * deviations, if all tiles are whole.
 */
function transformOutput(
  m: Tensor,
  size: Size4,
  tiles: Tiles,
  tile: WinogradTile,
  dtype: DType,
  { stats = false, turned = false, sum = null }: { stats?: boolean; turned?: boolean; sum?: Tensor | null },
): { y: Tensor; partials: BatchNormPartials | null } {
  const [N, P, Q, K] = size;
  const sums = stats && P % tile === 0 && Q % tile === 0;
  return scope(() => {
    const y = sum ?? empty(size, dtype);
    const partials = sums ? empty([N * tiles.perImage[0] * tiles.perImage[1], 2, K]) : noPartials();
    launch(kernels.winograd.output, {
      bindings: { m, y, partials },
      constants: { TILE: tile, ROLLED: bySubgroups(), ...storedAs(dtype) },
      params: {
        y_size: size,
        tiles: tiles.perImage,
        rows: tiles.rows,
        stats: sums ? 1 : 0,
        turned: turned ? 1 : 0,
        adds: sum ? 1 : 0,
        span: tile + 2,
      },
      workgroups: ceilDiv(tiles.rows * (K / 4), 64),
    });
    return { y, partials: sums ? { means: partials, rowsPerTile: tile ** 2, rows: N * P * Q } : null };
  });
}

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
    texels: { x: true }, // neighbouring tiles share two pixels: each is loaded 2.25 or 4 times
    constants: { TILE: tile, ...loadedAs(x.dtype) },
    params: { x_size: x.shape, tiles: perImage, padding, rows, turned: turned ? 1 : 0 },
    workgroups: ceilDiv(rows * (C / 4), 64),
  });
  return v;
}

/** U [planes, C, K] of weight [3,3,C,K]; the order within a plane is the kernels' affair. */
function transformWeight(weight: Tensor, tile: WinogradTile): Tensor {
  const [, , C, K] = weight.shape as unknown as Size4;
  const u = empty([(tile + 2) ** 2, C, K]);
  const vectors = (C * K) / 4;
  launch(kernels.winograd.weight, {
    bindings: { weight, u },
    constants: { TILE: tile, IN_BLOCKS: bySubgroups() },
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
  const planes = a.shape[0];
  const rows = a.shape[transposed ? 2 : 1];
  const depth = a.shape[transposed ? 1 : 2];
  const columns = b.size / (planes * depth);
  const tile = 4 * LANES;
  const y = empty([planes, rows, columns]);
  launch(kernels.winograd.multiply, {
    bindings: { a, b, y },
    texels: { a: columns / tile >= ENOUGH_LOADS, b: rows / tile >= ENOUGH_LOADS },
    constants: { LANES, A_TRANSPOSED: transposed, B_TRANSPOSED: pass === "inputGradient" },
    params: { planes, rows, columns: columns / 4, depth },
    workgroups: planes * ceilDiv(rows, tile) * ceilDiv(columns, tile),
    flops: 2 * planes * rows * columns * depth,
  });
  return y;
}
