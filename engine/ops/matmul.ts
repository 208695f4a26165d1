// Matrix product of the last two axes: a [...,M,K] times b [...,K,N] -> y [...,M,N], in the three kernel families.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { currentDevice } from "../current.ts";
import { cachedTiles, ENOUGH_LOADS, launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { broadcastShapes, ceilDiv, check, sameShape, showShape, sizeOf, stridesOf, type Shape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { matmulWorkgroup, type Operand, type Size } from "./matmul-workgroup.ts";
import { sumTo } from "./reduce-axes.ts";

/** Of the packing kernel. */
const ROWS_PER_INVOCATION = 8;

export interface MatmulOptions {
  /** `a` is stored as [...,K,M]. */
  transposeA?: boolean;
  /** `b` is stored as [...,N,K]. */
  transposeB?: boolean;
}

/**
 * a [...,M,K] times b [...,K,N] = [...,M,N]. Leading axes are a batch and broadcast as NumPy's; at most four of them.
 * Products are summed in a fixed order, in f32.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  const { batch, M, N } = validate(a, b, transposeA, transposeB);
  // One matrix b for a batch of matrices a is one product with all their rows: fuller tiles, and db needs no sum over the batch.
  const folds = !transposeA && a.rank > 2 && sizeOf(b.shape.slice(0, -2)) === 1;
  const rows = folds ? sizeOf(batch) * M : M;
  const foldA = (): Tensor => (folds ? a.view([rows, a.shape.at(-1)!]) : a);
  const foldB = (): Tensor => (folds ? b.view(b.shape.slice(-2)) : b);
  const foldY = (y: Tensor): Tensor => (folds ? y.view([rows, N]) : y);
  const y = scope(() => product(foldA(), foldB(), transposeA, transposeB).view([...batch, M, N]));
  return differentiable("matmul", { a, b }, y, {
    a: (dy) => {
      const g = foldY(dy);
      const da = transposeA
        ? matmul(foldB(), g, { transposeA: transposeB, transposeB: true })
        : matmul(g, foldB(), { transposeB: !transposeB });
      return sumTo(da, foldA().shape).view(a.shape);
    },
    b: (dy) => {
      const g = foldY(dy);
      const db = transposeB
        ? matmul(g, foldA(), { transposeA: true, transposeB: transposeA })
        : matmul(foldA(), g, { transposeA: !transposeA });
      return sumTo(db, foldB().shape).view(b.shape);
    },
  });
}

function validate(
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
): { batch: number[]; M: number; N: number } {
  const op = "matmul";
  for (const [name, x] of [
    ["a", a],
    ["b", b],
  ] as const) {
    check(
      x.dtype === "f32" && x.rank >= 2 && x.size > 0,
      op,
      () => `${name} must be an f32 matrix or batch of them, got ${x.toString()}`,
    );
  }
  const [M, K] = matrixShape(a, transposeA);
  const [inner, N] = matrixShape(b, transposeB);
  const show = (x: Tensor, transposed: boolean): string => `${showShape(x.shape)}${transposed ? " (transposed)" : ""}`;
  check(
    K === inner,
    op,
    () => `a ${show(a, transposeA)} has ${K} columns, b ${show(b, transposeB)} has ${inner} rows; they must be equal`,
  );
  const batch = broadcastShapes(op, a.shape.slice(0, -2), b.shape.slice(0, -2));
  check(batch.length <= 4, op, () => `at most four batch axes, got ${showShape(batch)}; merge some with reshape`);
  return { batch, M, N };
}

function matrixShape(x: Tensor, transposed: boolean): readonly [number, number] {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

/** The forward pass. Kernels want both operands with k outermost and rows of whole vec4s; what is stored otherwise is packed. */
function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const { batch, M, N } = validate(a, b, transposeA, transposeB);
  const K = matrixShape(a, transposeA)[1];
  const left = kOutermost(a, transposeA, batch);
  const right = kOutermost(b, !transposeB, batch);
  const y = empty([...batch, M, N]);
  const size = { batches: sizeOf(batch), M, N, K };
  const device = currentDevice();
  if (device.family === "workgroup") matmulWorkgroup(left, right, y, size);
  else launchTiles(left, right, y, size, device.family === "subgroup" ? device.info.subgroupSize : 0);
  return y;
}

/** `ready`: the matrices are stored as [K,X] already, not as [X,K]. */
function kOutermost(x: Tensor, ready: boolean, batch: Shape): Operand {
  const [K, X] = matrixShape(x, !ready);
  const own = x.shape.slice(0, -2);
  const vectors = ceilDiv(X, 4);
  const single = sizeOf(own) === 1;
  const whole = single || sameShape(own, batch);
  const batchStride = single ? 0 : K * vectors;
  if (whole && X % 4 === 0 && (ready || K === 1)) return { tensor: x, batchStride };
  const target = single ? [] : batch;
  const packed = empty([...target, K, vectors * 4]);
  const lead = 4 - target.length;
  const strides = stridesOf(x.shape);
  const ownStride = (axis: number): number => {
    const at = axis - lead - target.length + own.length;
    return axis < lead || at < 0 || own[at] === 1 ? 0 : strides[at];
  };
  const blocks = ceilDiv(K, ROWS_PER_INVOCATION);
  const total = sizeOf(target) * blocks * vectors;
  launch(kernels.matmul.pack, {
    bindings: { x, packed },
    constants: { ROWS: ROWS_PER_INVOCATION },
    params: {
      rows: K,
      columns: X,
      vectors,
      blocks,
      total,
      row_stride: ready ? X : 1,
      column_stride: ready ? 1 : K,
      batch: Array.from({ length: 4 }, (_, axis) => target[axis - lead] ?? 1),
      batch_strides: Array.from({ length: 4 }, (_, axis) => ownStride(axis)),
    },
    workgroups: ceilDiv(total, 64),
  });
  return { tensor: packed, batchStride };
}

/** Operations from which copies of the operands take less than their loads from textures spare: 20 to 30 us each and their bytes. */
const WORTH_COPIES = 4e6;

/** The kernels that take shapes from Params: `lanes` per subgroup, 0 for the portable one. */
function launchTiles(a: Operand, b: Operand, y: Tensor, { batches, M, N, K }: Size, lanes: number): void {
  const edge = lanes > 0 ? lanes * 4 : 8;
  const row_tiles = ceilDiv(M, edge);
  const column_tiles = ceilDiv(N, edge);
  const tiles = batches * row_tiles * column_tiles;
  const args = {
    bindings: { a: a.tensor, b: b.tensor, y },
    params: {
      rows: M,
      columns: N,
      depth: K,
      row_tiles,
      column_tiles,
      tiles,
      a_batch: a.batchStride,
      b_batch: b.batchStride,
    },
    flops: 2 * batches * M * N * K,
  };
  if (lanes > 0) {
    const copy = args.flops >= WORTH_COPIES;
    const texels = { a: copy && column_tiles >= ENOUGH_LOADS, b: copy && row_tiles >= ENOUGH_LOADS };
    const params = { ...args.params, together: cachedTiles(K * edge) };
    launch(kernels.matmul.subgroup, { ...args, params, texels, constants: { LANES: lanes }, workgroups: tiles });
  } else launch(kernels.matmul.portable, { ...args, workgroups: ceilDiv(tiles, 64) });
}
