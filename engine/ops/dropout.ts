// Dropout by counter-based random numbers: replayable, and the gradient draws the same mask again. x [...] -> y [...], any shape.
import { kernels } from "../../shaders/kernels.ts";
import { differentiable } from "../autograd.ts";
import { launch } from "../launch.ts";
import { Purpose } from "../random.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { throughSingle } from "./cast.ts";

/** Elements per workgroup: 64 invocations of 4 vec4. */
const ELEMENTS_PER_WORKGROUP = 64 * 4 * 4;

export interface DropoutOptions {
  /** u32. Layers of one model need different seeds, or they drop the same positions. Default 0. */
  seed?: number;
  /** u32, another for each training step; a function is read again when a captured step is replayed. Default 0. */
  step?: number | (() => number);
  /** Without training nothing is dropped or scaled. Default true. */
  training?: boolean;
}

/**
 * Sets each element to 0 with probability `p` (0 to 1) and multiplies the others by 1 / (1 - p). Element i is dropped where the
 * upper 24 bits of value i % 4 of `pcg4d(seed, step, floor(i / 4), Purpose.dropout)` are below p * 2^24.
 */
export function dropout(x: Tensor, p: number, options: DropoutOptions = {}): Tensor {
  const { seed = 0, step = 0, training = true } = options;
  if (x.dtype === "f16") return throughSingle(x, (wide) => dropout(wide, p, options));
  check(x.dtype === "f32", "dropout", () => `needs an f32 tensor, got ${x.toString()}`);
  check(p >= 0 && p <= 1, "dropout", () => `p must be 0 to 1, got ${p}`);
  if (!training || p === 0) return differentiable("dropout", { x }, x.view(x.shape), { x: (dy) => dy });
  const params = {
    vectors: ceilDiv(x.size, 4),
    seed,
    step,
    threshold: Math.round(p * 2 ** 24),
    scale: p < 1 ? 1 / (1 - p) : 0,
  };
  const masked = (input: Tensor): Tensor => {
    const y = empty(input.shape);
    launch(kernels.dropout.dropout, {
      bindings: { x: input, y },
      constants: { PURPOSE: Purpose.dropout },
      params,
      workgroups: ceilDiv(input.size, ELEMENTS_PER_WORKGROUP),
    });
    return y;
  };
  return differentiable("dropout", { x }, masked(x), { x: masked });
}
