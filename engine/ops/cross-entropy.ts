// Softmax cross-entropy of logits [N,C] against class labels [N], fused: log-softmax, label smoothing and mean in two kernels.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, check, sameShape, showShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { lanesPerRow } from "./softmax.ts";

export interface CrossEntropyOptions {
  /** Share of the target that is spread over all classes, the label included, as in PyTorch. 0 to 1, default 0. */
  labelSmoothing?: number;
  /** How many rows count: the others, at the end, are padding. Default all. */
  valid?: number;
}

interface Geometry {
  params: { rows: number; classes: number; valid: number; smoothing: number };
  LANES: number;
  workgroups: number;
}

function geometry(op: string, logits: Tensor, labels: Tensor, options: CrossEntropyOptions): Geometry {
  check(
    logits.rank === 2 && logits.dtype === "f32" && logits.size > 0,
    op,
    () => `logits must be f32 [N,C], got ${logits.toString()}`,
  );
  const [rows, classes] = logits.shape as [number, number];
  check(
    labels.dtype === "u32" && sameShape(labels.shape, [rows]),
    op,
    () => `logits ${showShape(logits.shape)} need labels u32 [${rows}], got ${labels.toString()}`,
  );
  const { labelSmoothing = 0, valid = rows } = options;
  check(labelSmoothing >= 0 && labelSmoothing <= 1, op, () => `labelSmoothing must be 0 to 1, got ${labelSmoothing}`);
  check(
    Number.isInteger(valid) && valid >= 1 && valid <= rows,
    op,
    () => `valid must be 1 to the ${rows} rows, got ${valid}`,
  );
  const LANES = lanesPerRow(classes);
  const params = { rows, classes, valid, smoothing: labelSmoothing };
  return { params, LANES, workgroups: ceilDiv(rows * LANES, 64) };
}

/**
 * The mean over the rows of -sum_c q_c log softmax(logits)_c: a scalar. A label that is no class makes it NaN.
 *
 * @param logits f32 [N,C]
 * @param labels u32 [N], classes from 0
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { params, LANES, workgroups } = geometry("crossEntropy", logits, labels, options);
  const { rows, valid } = params;
  const loss = scope(() => {
    const { losses } = crossEntropyRows(logits, labels, options);
    const loss = empty([]);
    launch(kernels.crossEntropy.mean, { bindings: { losses, loss }, params: { rows, valid }, workgroups: 1 });
    return loss;
  });
  return differentiable("crossEntropy", { logits }, loss, {
    logits: (dy) => {
      const dlogits = empty(logits.shape);
      const bindings = { logits, labels, dy, dlogits };
      launch(kernels.crossEntropy.gradient, { bindings, constants: { LANES }, params, workgroups });
      return dlogits;
    },
  });
}

/**
 * Each row's loss (f32 [N]), and 1 where its largest logit is the label's, else 0 (u32 [N]; of equal logits the first counts).
 * Both 0 in rows of padding. Not differentiable.
 */
export function crossEntropyRows(
  logits: Tensor,
  labels: Tensor,
  options: CrossEntropyOptions = {},
): { losses: Tensor; correct: Tensor } {
  const { params, LANES, workgroups } = geometry("crossEntropyRows", logits, labels, options);
  const losses = empty([params.rows]);
  const correct = empty([params.rows], "u32");
  const bindings = { logits, labels, losses, correct };
  launch(kernels.crossEntropy.rows, { bindings, constants: { LANES }, params, workgroups });
  return { losses, correct };
}

/**
 * Adds [sum of losses, correct rows, rows, rows whose loss is not finite] of one batch to `accumulator` (f32 [4]), in place and in
 * a fixed order, so that metrics need no reading back at each step. Not differentiable.
 */
export function accumulateMetrics(
  logits: Tensor,
  labels: Tensor,
  accumulator: Tensor,
  options: CrossEntropyOptions = {},
): void {
  const op = "accumulateMetrics";
  const { params } = geometry(op, logits, labels, options);
  check(
    accumulator.dtype === "f32" && sameShape(accumulator.shape, [4]),
    op,
    () => `the accumulator must be f32 [4], got ${accumulator.toString()}`,
  );
  const { classes, valid, smoothing } = params;
  const bindings = { logits, labels, accumulator };
  launch(kernels.crossEntropy.accumulateMetrics, { bindings, params: { classes, valid, smoothing }, workgroups: 1 });
}
