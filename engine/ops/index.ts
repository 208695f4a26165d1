// The catalogue: one line per op file.
export * from "./unary.ts";
export { softmax, logSoftmax } from "./softmax.ts";
export * from "./cross-entropy.ts";
export { matmul, type MatmulOptions } from "./matmul.ts";
export * from "./pool.ts";
export * from "./dropout.ts";
export * from "./resize.ts";
export {
  sgdStep,
  adamStep,
  clipGradientNorm,
  UNTOUCHED,
  type FlatBuffers,
  type GroupRate,
  type SgdStepOptions,
  type AdamStepOptions,
} from "./optimizer-step.ts";
export { cast } from "./cast.ts";
export type { LossScale, LossScaleOptions } from "./loss-scale.ts";
export * from "./binary.ts";
export * from "./copy.ts";
export * from "./gather.ts";
export * from "./reduce.ts";
export * from "./view.ts";
export { conv2d, type Conv2dOptions, type ConvolutionWithStats } from "./conv2d.ts";
export { batchNorm, type BatchNormOptions, type BatchNormPartials } from "./batch-norm.ts";
export * from "./augment.ts";
