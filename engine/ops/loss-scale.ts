// Dynamic loss scaling over flat gradients (see ../flat-parameters.ts). Nothing is read back: the scale, and whether a step is skipped,
// stay on the device.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { BLOCK, largestWindow, splitWindows, type FlatBuffers } from "./optimizer-step.ts";

/** What scaling keeps between steps. */
export interface LossScale {
  /** [4] f32: the scale of the next loss, the inverse of the last one's, steps since it changed. */
  readonly state: Tensor;
  /** [4] u32: steps skipped so far, and 1 where the last one was. */
  readonly skips: Tensor;
}

export interface LossScaleOptions {
  /** By which the scale is multiplied after `interval` steps without an overflow. */
  readonly growth: number;
  /** By which it is multiplied after an overflow. */
  readonly backoff: number;
  readonly interval: number;
}

/** 64 invocations of a quarter of a block. */
const BLOCKS_PER_WORKGROUP = 16;
/** Workgroups that look for overflows. */
const FINDERS = 256;

/**
 * Divides the gradients by the scale and decides about the step, as torch.amp.GradScaler does.
 *
 * @param active [n / 64] u32, receives the table of groups for this step: all untouched where a gradient is not finite
 */
export function unscaleGradients(
  flat: Pick<FlatBuffers, "gradients" | "blocks">,
  { state, skips }: LossScale,
  active: Tensor,
  { growth, backoff, interval }: LossScaleOptions,
): void {
  const { gradients, blocks } = flat;
  check(active.size === blocks.size, "unscaleGradients", () => `${active.size} blocks for ${blocks.size}`);
  scope(() => {
    const windows = splitWindows(gradients.size, largestWindow(gradients));
    const found = empty([windows.length * FINDERS], "u32");
    windows.forEach(({ offset, size }, i) => {
      const part = { blocks: blocks.range(offset / BLOCK, [size / BLOCK]), gradients: gradients.range(offset, [size]) };
      const bindings = { ...part, found: found.range(i * FINDERS, [FINDERS]) };
      launch(kernels.lossScale.find, { bindings, params: { vectors: size / 4 }, workgroups: FINDERS });
    });
    launch(kernels.lossScale.update, {
      bindings: { found, state, skips },
      params: { count: found.size, growth, backoff, interval },
      workgroups: 1,
    });
    for (const { offset, size } of windows) {
      const [first, count] = [offset / BLOCK, size / BLOCK];
      const tables = { blocks: blocks.range(first, [count]), active_blocks: active.range(first, [count]) };
      launch(kernels.lossScale.apply, {
        bindings: { state, skips, ...tables, gradients: gradients.range(offset, [size]) },
        params: { blocks: count },
        workgroups: ceilDiv(count, BLOCKS_PER_WORKGROUP),
      });
    }
  });
}
