// Optimizer steps over flat buffers (see ../flat-parameters.ts): one dispatch updates every parameter in place. None
// has a gradient.
import { kernels } from "../../shaders/kernels.ts";
import { launch } from "../launch.ts";
import { ceilDiv, check } from "../shape.ts";
import { scope } from "../scope.ts";
import { empty, type Tensor } from "../tensor.ts";
import { fill } from "./copy.ts";

/** Parameters begin at multiples of this many elements: bindings start at multiples of 256 bytes. */
export const BLOCK = 64;
/** The group of blocks that a step leaves alone: padding and frozen parameters. */
export const UNTOUCHED = 255;
/** Parameter groups that fit into a step's `Params`. */
export const MAX_GROUPS = 8;

/** 64 invocations of 4 vec4. */
const VECTORS_PER_WORKGROUP = 64 * 4;

/** What every step works on. All have the same layout; lengths are multiples of 64. */
export interface FlatBuffers {
  /** [n] f32, updated in place. */
  readonly weights: Tensor;
  /** [n] f32. */
  readonly gradients: Tensor;
  /** [n / 64] u32: the parameter group of each block of 64 elements, or 255. */
  readonly blocks: Tensor;
  /** [4] u32, the first: steps that loss scaling has skipped, which Adam's count leaves out. */
  readonly skips: Tensor;
}

/** Options of a step, or a function that gives them as they are when it runs: in a captured step they are read at each replay. */
export type LiveOptions<T> = T | (() => T);

const reader = <T>(options: LiveOptions<T>): (() => T) =>
  typeof options === "function" ? (options as () => T) : () => options;

/** The hyperparameters of one parameter group. */
export interface GroupRate {
  readonly lr: number;
  readonly weightDecay: number;
}

export interface SgdStepOptions {
  readonly groups: readonly GroupRate[];
  /** Needs `buffers`. */
  readonly momentum?: number;
  readonly dampening?: number;
  readonly nesterov?: boolean;
  /** The first step sets the momentum buffers to the gradient, without dampening. */
  readonly first?: boolean;
}

/**
 * One step of SGD, as torch.optim.SGD computes it: d = g + weightDecay * w; buffer = momentum * buffer + (1 - dampening) * d;
 * w -= lr * buffer (with Nesterov: lr * (d + momentum * buffer)).
 *
 * @param buffers the momentum buffers [n]; without them w -= lr * d
 */
export function sgdStep(flat: FlatBuffers, buffers: Tensor | null, options: LiveOptions<SgdStepOptions>): void {
  const read = reader(options);
  const groups = (): number[] => packGroups("sgdStep", read().groups, ({ lr, weightDecay }) => [lr, weightDecay]);
  forEachWindow("sgdStep", flat, buffers ? [buffers] : [], ({ weights, gradients, blocks }, [window]) => {
    const vectors = weights.size / 4;
    const workgroups = ceilDiv(vectors, VECTORS_PER_WORKGROUP);
    if (!window) {
      launch(kernels.optimizerStep.sgd, {
        bindings: { blocks, gradients, weights },
        params: { groups, vectors },
        workgroups,
      });
      return;
    }
    launch(kernels.optimizerStep.sgdMomentum, {
      bindings: { blocks, gradients, weights, buffers: window },
      params: {
        groups,
        vectors,
        momentum: () => read().momentum ?? 0,
        retained: () => (read().first ? 0 : (read().momentum ?? 0)),
        fresh: () => (read().first ? 1 : 1 - (read().dampening ?? 0)),
        nesterov: () => (read().nesterov ? 1 : 0),
      },
      workgroups,
    });
  });
}

export interface AdamStepOptions {
  readonly groups: readonly GroupRate[];
  /** Decay rates of the moments. They may change from step to step; the bias correction uses the current ones. */
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** Counts from 1. */
  readonly step: number;
  /** AdamW: the decay shrinks the weights by lr * weightDecay instead of joining the gradient. */
  readonly decoupled?: boolean;
}

/**
 * One step of torch.optim.Adam or AdamW (without amsgrad).
 *
 * @param moments the running means of g and of g^2, [n] each; zeros before the first step
 */
export function adamStep(
  flat: FlatBuffers,
  moments: readonly [Tensor, Tensor],
  options: LiveOptions<AdamStepOptions>,
): void {
  const read = reader(options);
  const groups = (): number[] => {
    const { betas, step, decoupled } = read();
    return packGroups("adamStep", read().groups, ({ lr, weightDecay }) => [
      lr / (1 - betas[0] ** step),
      decoupled ? 0 : weightDecay,
      decoupled ? 1 - lr * weightDecay : 1,
    ]);
  };
  forEachWindow("adamStep", flat, moments, ({ weights, gradients, blocks }, [first, second]) => {
    const vectors = weights.size / 4;
    launch(kernels.optimizerStep.adam, {
      bindings: { blocks, skips: flat.skips, gradients, weights, first_moments: first, second_moments: second },
      params: {
        groups,
        vectors,
        beta1: () => read().betas[0],
        fresh1: () => 1 - read().betas[0],
        beta2: () => read().betas[1],
        fresh2: () => 1 - read().betas[1],
        correction: () => 1 / Math.sqrt(1 - read().betas[1] ** read().step),
        epsilon: () => read().eps,
        step: () => read().step,
        log_beta1: () => Math.log(read().betas[0]),
        log_beta2: () => Math.log(read().betas[1]),
      },
      workgroups: ceilDiv(vectors, VECTORS_PER_WORKGROUP),
    });
  });
}

/** Partial sums of a window's gradient norm. */
const PARTIALS = 256;

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), where norm is the 2-norm over all parameters that are not frozen,
 * as torch.nn.utils.clip_grad_norm_ does. Nothing is read back.
 *
 * @param result [2] f32, receives the norm before clipping and the coefficient
 */
export function clipGradientNorm(
  flat: Pick<FlatBuffers, "gradients" | "blocks">,
  maxNorm: number,
  result: Tensor,
  windowSize = largestWindow(result),
): void {
  check(maxNorm > 0, "clipGradientNorm", () => `maxNorm must be positive, got ${maxNorm}`);
  scope(() => {
    const windows = splitWindows(flat.gradients.size, windowSize);
    const partials = empty([windows.length * PARTIALS]);
    let count = 0;
    windows.forEach(({ offset, size }, i) => {
      // Every workgroup but those of the last window's tail has work, and the partial sums lie without gaps.
      const workgroups = i === windows.length - 1 ? Math.min(PARTIALS, ceilDiv(size / 4, 64)) : PARTIALS;
      launch(kernels.optimizerStep.normPartials, {
        bindings: {
          blocks: flat.blocks.range(offset / BLOCK, [size / BLOCK]),
          gradients: flat.gradients.range(offset, [size]),
          partials: partials.range(i * PARTIALS, [workgroups]),
        },
        params: { vectors: size / 4 },
        workgroups,
      });
      count += workgroups;
    });
    const params = { count, max_norm: maxNorm };
    launch(kernels.optimizerStep.normCoefficient, { bindings: { partials, result }, params, workgroups: 1 });
    for (const { offset, size } of windows) {
      launch(kernels.optimizerStep.scale, {
        bindings: { factor: result, gradients: flat.gradients.range(offset, [size]) },
        params: { vectors: size / 4 },
        workgroups: ceilDiv(size / 4, VECTORS_PER_WORKGROUP),
      });
    }
  });
}

/**
 * destination = source, or destination += source. Both have the same number of elements; up to 3 elements of padding after
 * the destination become zero.
 */
export function accumulate(source: Tensor, destination: Tensor, mode: "overwrite" | "add"): void {
  check(source.size === destination.size, "accumulate", () => `${source.toString()} into ${destination.toString()}`);
  launch(kernels.optimizerStep.accumulate, {
    bindings: { source, destination },
    constants: { combine: mode === "add" ? "before + value" : "value" },
    params: { size: source.size },
    workgroups: ceilDiv(ceilDiv(source.size, 4), VECTORS_PER_WORKGROUP),
  });
}

/** Sets a flat buffer, whose length is a multiple of 64, to zero. */
export function zeroFill(flat: Tensor): void {
  scope(() => {
    for (const { offset, size } of splitWindows(flat.size, largestWindow(flat))) fill(flat.range(offset, [size]), 0);
  });
}

function packGroups(op: string, groups: readonly GroupRate[], row: (group: GroupRate) => number[]): number[] {
  check(groups.length >= 1 && groups.length <= MAX_GROUPS, op, () => {
    return `1 to ${MAX_GROUPS} parameter groups fit, got ${groups.length}`;
  });
  return groups.flatMap((group) => {
    const values = row(group);
    return [...values, ...new Array<number>(4 - values.length).fill(0)];
  });
}

/** Elements that fit one binding, in whole blocks whose table ranges start at multiples of 256 bytes too. */
export function largestWindow(tensor: Tensor): number {
  const step = BLOCK * BLOCK;
  return Math.floor(tensor.device.limits.maxStorageBufferBindingSize / 4 / step) * step;
}

/** Parts of a flat buffer that fit a binding each: one, except for very large models. */
export function splitWindows(size: number, windowSize: number): { offset: number; size: number }[] {
  check(size > 0 && size % BLOCK === 0, "splitWindows", () => `${size} elements are not whole blocks of ${BLOCK}`);
  const count = ceilDiv(size, windowSize);
  return Array.from({ length: count }, (_, i) => ({
    offset: i * windowSize,
    size: Math.min(windowSize, size - i * windowSize),
  }));
}

function forEachWindow(
  op: string,
  flat: FlatBuffers,
  states: readonly Tensor[],
  step: (window: FlatBuffers, states: readonly Tensor[]) => void,
): void {
  const { weights, gradients, blocks } = flat;
  for (const { size } of [gradients, ...states]) {
    check(size === weights.size, op, () => `buffers of ${size} and ${weights.size} elements do not match`);
  }
  check(blocks.size * BLOCK === weights.size, op, () => `${blocks.size} blocks for ${weights.size} elements`);
  scope(() => {
    for (const { offset, size } of splitWindows(weights.size, largestWindow(weights))) {
      const cut = (tensor: Tensor): Tensor => tensor.range(offset, [size]);
      const window = {
        weights: cut(weights),
        gradients: cut(gradients),
        blocks: blocks.range(offset / BLOCK, [size / BLOCK]),
        skips: flat.skips,
      };
      step(window, states.map(cut));
    }
  });
}
