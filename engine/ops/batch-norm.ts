// Batch normalisation over the last axis, with what usually follows it: y = relu((x - mean) / sqrt(variance + eps) * weight + bias + add).
// x is seen as a matrix [rows, C].
import { kernels } from "../../shaders/kernels.ts";
import { differentiableJointly } from "../autograd.ts";
import { currentDevice } from "../current.ts";
import type { Constants } from "../gpu/kernel.ts";
import { launch } from "../launch.ts";
import { opScope, scope } from "../scope.ts";
import { ceilDiv, check, sameShape, showShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { loadedAs, single, storedAs, throughSingle } from "./cast.ts";

/** Per tile of rows of a matrix [rows, C]: the columns' means and sums of squared deviations from them. */
export interface BatchNormPartials {
  /** [tiles, 2, C]: means, then sums of squared deviations. */
  readonly means: Tensor;
  /** Rows in each tile but the last. */
  readonly rowsPerTile: number;
  /** Rows in all. */
  readonly rows: number;
}

export interface BatchNormOptions {
  /** Scale of each channel [C]. */
  weight: Tensor;
  /** Offset of each channel [C]. */
  bias: Tensor;
  /** [C]; in training moved towards the batch's: (1 - momentum) running + momentum batch. */
  runningMean: Tensor;
  /** [C]; the same with the unbiased variance, as in PyTorch. */
  runningVar: Tensor;
  /** Normalise by the batch's statistics and move the running ones, or by the running ones. */
  training: boolean;
  /** Share of the batch in the running statistics. Default 0.1. */
  momentum?: number;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
  /** From `conv2d(x, weight, { stats: true })`: saves a pass over x. */
  partials?: BatchNormPartials | null | undefined;
  /** Added after normalising, of x's shape: a residual block's shortcut. */
  add?: Tensor | undefined;
  /** Applies relu at the end. Default false. */
  relu?: boolean | undefined;
}

/** Rows that one invocation of the statistics kernels sweeps, at most. */
const ROWS = 32;
/** Rows that one invocation of the kernels that write whole tensors computes. */
const APPLY_ROWS = 8;
/** Rows that such an invocation takes at once on a real GPU, whose loads are then under way together. */
const TURN = 8;
/** The same for tiles where a workgroup merges them, and how many of its shares are merged by one invocation each before one merges all. */
const MERGING = { TURN: 4, GROUP: 8 };

const onRealGpu = (): boolean => currentDevice().family === "workgroup";

/** What is worth a pipeline of its own on real GPUs alone: on software ones each costs up to a second. */
const onlyForRealGpus = <C extends Constants>(constants: C): Partial<C> => (onRealGpu() ? constants : {});

/**
 * Batch norm, PyTorch's BatchNorm2d in channels-last layout, with an optional addition and relu in the same pass.
 *
 * @param x [...,C]
 * @returns a tensor of x's shape
 */
export function batchNorm(x: Tensor, options: BatchNormOptions): Tensor {
  // f16 comes in fours only.
  if (x.dtype === "f16" && x.shape[x.rank - 1] % 4 !== 0) {
    return throughSingle(x, (wide) => batchNorm(wide, { ...options, add: options.add && single(options.add) }));
  }
  const layout = layoutOf(x, options);
  const { weight, bias, training, add, relu = false } = options;
  const inputs = add ? [x, weight, bias, add] : [x, weight, bias];
  return opScope(() => {
    const affine = statistics(x, layout, options);
    const y = apply(x, layout, options, affine);
    return differentiableJointly("batchNorm", inputs, y, (dy, needed, into) => {
      const saved = { x, y, affine, relu, masked: relu && add !== undefined, training };
      return gradients(dy, layout, saved, needed, into);
    });
  });
}

/** x as a matrix, and the constants that let the kernels take columns by fours where that fits. */
interface Layout {
  readonly rows: number;
  readonly columns: number;
  readonly constants: { Vector?: string };
  /** For the kernels that touch x and its like. */
  readonly stored: ReturnType<typeof storedAs>;
}

function layoutOf(x: Tensor, options: BatchNormOptions): Layout {
  const op = "batchNorm";
  check(x.dtype !== "u32" && x.size > 0, op, () => `x must be f32 or f16 [...,C] with elements, got ${x.toString()}`);
  const C = x.shape[x.rank - 1] ?? 0;
  const { weight, bias, runningMean, runningVar, add } = options;
  for (const [name, t] of Object.entries({ weight, bias, runningMean, runningVar })) {
    check(
      sameShape(t.shape, [C]) && t.dtype === "f32",
      op,
      () => `${name} must be f32 [${C}] for x ${showShape(x.shape)}, got ${t.toString()}`,
    );
  }
  check(
    !add || (sameShape(add.shape, x.shape) && add.dtype === x.dtype),
    op,
    () => `add ${add!.toString()} must have the shape and type of x ${x.toString()}`,
  );
  const rows = x.size / C;
  const { partials } = options;
  check(
    !partials || (partials.rows === rows && partials.means.shape[2] === C),
    op,
    () =>
      `partials ${showShape(partials!.means.shape)} of ${partials!.rows} rows do not belong to x ${showShape(x.shape)}`,
  );
  check(
    !options.training || rows > 1,
    op,
    () => `training needs more than one value per channel, x is ${showShape(x.shape)}`,
  );
  const width = C % 4 === 0 ? 4 : 1;
  return { rows, columns: C / width, constants: width === 1 ? { Vector: "f32" } : {}, stored: storedAs(x.dtype) };
}

/** [4,C]: mean and 1 / sqrt(variance + eps), of the batch or the running ones, scale and shift. In training moves the running statistics. */
function statistics(x: Tensor, layout: Layout, options: BatchNormOptions): Tensor {
  const { weight, bias, runningMean, runningVar, training, momentum = 0.1, eps = 1e-5 } = options;
  const { rows, columns, constants } = layout;
  return scope(() => {
    const partials = training ? fewer(options.partials ?? partialStatistics(x, layout), layout) : null;
    const affine = empty([4, weight.size]);
    launch(kernels.batchNorm.statistics, {
      bindings: {
        partials: partials?.means ?? empty([4]),
        weight,
        bias,
        affine,
        running_mean: runningMean,
        running_var: runningVar,
      },
      constants: { ...constants, ...onlyForRealGpus(MERGING) },
      params: {
        tiles: partials?.means.shape[0] ?? 0,
        rows_per_tile: partials?.rowsPerTile ?? 0,
        rows,
        columns,
        eps,
        momentum,
        evaluation: training ? 0 : 1,
      },
      workgroups: columns,
    });
    return affine;
  });
}

/** Tiles of partials that the last pass takes: it has a workgroup for 4 columns only, which leaves most of a real GPU idle. */
const mostTiles = (): number => (onRealGpu() ? 512 : 4096);
/** Tiles that become one where there are more. */
const MERGED_TILES = 32;

/** Invocations that keep a real GPU busy. */
const ENOUGH = 65_536;

/**
 * Rows in a tile of the kernels that sum. On a real GPU fewer where there would be few invocations, unless their tiles had to be merged
 * for that alone.
 */
function rowsInTile(rows: number, columns: number): number {
  if (!onRealGpu()) return ROWS;
  const tiles = (size: number): number => ceilDiv(rows, size);
  const most = tiles(ROWS) > mostTiles() ? Infinity : mostTiles();
  let size = ROWS;
  while (size > TURN && tiles(size) * columns < ENOUGH && tiles(size / 2) <= most) size /= 2;
  return size;
}

/** The partials in at most so many tiles, times a few. */
function fewer({ means, rowsPerTile, rows }: BatchNormPartials, layout: Layout): BatchNormPartials {
  if (means.shape[0] <= mostTiles()) return { means, rowsPerTile, rows };
  const merged = mergeTiles(means, layout, rowsPerTile);
  return { means: merged, rowsPerTile: rowsPerTile * MERGED_TILES, rows };
}

/** [tiles,2,C] -> [tiles / 32,2,C]. @param rowsPerTile of means and squared deviations; 0: of sums */
function mergeTiles(partials: Tensor, { rows, columns, constants }: Layout, rowsPerTile: number): Tensor {
  const [tiles, , C] = partials.shape;
  const merged = empty([ceilDiv(tiles, MERGED_TILES), 2, C]);
  launch(kernels.batchNorm.merge, {
    bindings: { partials, merged },
    constants: { ...constants, TILES: MERGED_TILES, MOMENTS: rowsPerTile > 0, ...onlyForRealGpus({ TURN }) },
    params: { tiles, columns, rows_per_tile: rowsPerTile, rows },
    workgroups: ceilDiv(merged.shape[0] * columns, 64),
  });
  return merged;
}

function partialStatistics(x: Tensor, { rows, columns, constants }: Layout): BatchNormPartials {
  const rowsPerTile = rowsInTile(rows, columns);
  const tiles = ceilDiv(rows, rowsPerTile);
  const partials = empty([tiles, 2, x.shape[x.rank - 1]]);
  const workgroups = ceilDiv(tiles * columns, 64);
  launch(kernels.batchNorm.sums, {
    bindings: { x, partials },
    constants: { ...constants, ...loadedAs(x.dtype), ...onlyForRealGpus({ TURN }) },
    params: { rows, columns, rows_per_tile: rowsPerTile },
    workgroups,
  });
  return { means: partials, rowsPerTile, rows };
}

function apply(x: Tensor, layout: Layout, { add, relu = false }: BatchNormOptions, affine: Tensor): Tensor {
  const { rows, columns, constants, stored } = layout;
  const y = empty(x.shape, x.dtype);
  launch(kernels.batchNorm.apply, {
    bindings: { x, add: add ?? x, affine, y },
    constants: { ...constants, ...stored, ...onlyForRealGpus({ TURN, adds: add !== undefined, relu }) },
    params: { rows, columns, adds: add ? 1 : 0, relu: relu ? 1 : 0 },
    workgroups: ceilDiv(ceilDiv(rows, APPLY_ROWS) * columns, 64),
  });
  return y;
}

interface Saved {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly affine: Tensor;
  readonly relu: boolean;
  /** Write dy where y > 0: it is also the gradient of `add`. */
  readonly masked: boolean;
  readonly training: boolean;
}

/** In training: dx = weight inverse (dy - mean(dy) - xhat mean(dy xhat)), dweight = sum(dy xhat), dbias = sum(dy). Two passes over x. */
function gradients(
  dy: Tensor,
  layout: Layout,
  saved: Saved,
  needed: readonly boolean[],
  into: readonly (Tensor | null)[],
): (Tensor | null)[] {
  const { rows, columns, constants, stored } = layout;
  const { x, y, affine, relu, training } = saved;
  const C = affine.shape[1];
  const rowsPerTile = rowsInTile(rows, columns);
  const tiles = ceilDiv(rows, rowsPerTile);
  const masked = saved.masked ? empty(x.shape, x.dtype) : empty([4]);
  let partials = empty([tiles, 2, C]);
  launch(kernels.batchNorm.gradientSums, {
    bindings: { x, y: saved.masked ? y : x, dy, affine, masked, partials },
    constants: { ...constants, ...stored, ...onlyForRealGpus({ TURN, relu, writes_masked: saved.masked }) },
    params: { rows, columns, rows_per_tile: rowsPerTile, relu: relu ? 1 : 0, writes_masked: saved.masked ? 1 : 0 },
    workgroups: ceilDiv(tiles * columns, 64),
  });
  if (tiles > mostTiles()) partials = mergeTiles(partials, layout, 0);
  const [dweight, dbias, coefficients] = [into[1] ?? empty([C]), into[2] ?? empty([C]), empty([5, C])];
  launch(kernels.batchNorm.gradientStatistics, {
    bindings: { partials, affine, dweight, dbias, coefficients },
    constants: { ...constants, ...onlyForRealGpus(MERGING) },
    params: { tiles: partials.shape[0], columns, batch_share: training ? 1 / rows : 0 },
    workgroups: columns,
  });
  let dx: Tensor | null = null;
  if (needed[0]) {
    dx = empty(x.shape, x.dtype);
    const masks = relu && !saved.masked;
    launch(kernels.batchNorm.gradientApply, {
      bindings: { x, dy: saved.masked ? masked : dy, coefficients, dx },
      constants: { ...constants, ...stored, ...onlyForRealGpus({ TURN, relu: masks }) },
      params: { rows, columns, relu: masks ? 1 : 0 },
      workgroups: ceilDiv(ceilDiv(rows, APPLY_ROWS) * columns, 64),
    });
  }
  return [dx, dweight, dbias, saved.masked ? masked : dy];
}
