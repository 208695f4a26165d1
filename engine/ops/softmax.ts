// Softmax and its logarithm along one axis. x [...] -> y [...], any shape of rank 1 or more.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check, normalizeAxis, sizeOf } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";

/**
 * Invocations that share one row. Long contiguous rows are read by many neighbours together; short ones, and rows interleaved
 * with others (another axis than the last), go to one invocation each.
 */
export const lanesPerRow = (extent: number, stride = 1): number => (extent > 32 && stride === 1 ? 32 : 1);

/** WGSL of the four expressions in which softmax and its logarithm differ. */
interface Formulas {
  result: string;
  gradient: { summand: string; result: string };
}

const SOFTMAX: Formulas = {
  result: "exp(x - largest) / total",
  gradient: { summand: "y * dy", result: "y * (dy - total)" },
};
const LOG_SOFTMAX: Formulas = {
  result: "x - largest - log(total)",
  gradient: { summand: "dy", result: "dy - exp(y) * total" },
};

function alongAxis(op: string, formulas: Formulas, x: Tensor, axis: number): Tensor {
  check(x.dtype === "f32", op, () => `needs an f32 tensor, got ${x.toString()}`);
  const a = normalizeAxis(op, x.rank, axis);
  const extent = x.shape[a];
  const stride = sizeOf(x.shape.slice(a + 1));
  const params = { rows: x.size / Math.max(extent, 1), extent, stride };
  const LANES = lanesPerRow(extent, stride);
  const workgroups = ceilDiv(params.rows * LANES, 64);
  const y = empty(x.shape);
  const { gradient, result } = formulas;
  launch(kernels.softmax.softmax, { bindings: { x, y }, constants: { LANES, result }, params, workgroups });
  return differentiable(op, { x }, y, {
    x: (dy) => {
      const dx = empty(x.shape);
      const constants = { LANES, ...gradient };
      launch(kernels.softmax.softmaxGradient, { bindings: { y, dy, dx }, constants, params, workgroups });
      return dx;
    },
  });
}

/** exp(x) / sum(exp(x)) along `axis` (default the last; negative axes count from the end), without overflow. */
export const softmax = (x: Tensor, axis = -1): Tensor => alongAxis("softmax", SOFTMAX, x, axis);
/** The logarithm of `softmax`, accurate where a softmax would round to 0 or 1. */
export const logSoftmax = (x: Tensor, axis = -1): Tensor => alongAxis("logSoftmax", LOG_SOFTMAX, x, axis);
