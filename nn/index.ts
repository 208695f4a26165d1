// The public names of kiln/nn.
export { Module, type ShapeVisitor } from "./module.ts";
export { Parameter, State, Counter, OwnedTensor } from "./parameter.ts";
export * as init from "./init.ts";
export { probe } from "./probe.ts";
export { Conv2d, type Conv2dOptions } from "./layers/conv2d.ts";
export { BatchNorm2d, convNorm, type BatchNorm2dOptions, type FusedBatchNorm } from "./layers/batch-norm.ts";
export { Linear, type LinearOptions } from "./layers/linear.ts";
export { MaxPool2d, AvgPool2d, GlobalAvgPool, type PoolOptions } from "./layers/pooling.ts";
export { ReLU, LeakyReLU, GELU, SiLU, Sigmoid, Tanh } from "./layers/activations.ts";
export { Dropout } from "./layers/dropout.ts";
export { Flatten } from "./layers/flatten.ts";
export { Sequential } from "./layers/sequential.ts";
export type { Pair } from "../engine/shape.ts";
export * from "./models/index.ts";
export {
  stateDict,
  loadStateDict,
  checkStateDict,
  initFrom,
  type StateDict,
  type LoadOptions,
  type LoadReport,
} from "./state-dict.ts";
export {
  exportWeights,
  readCheckpoint,
  readCheckpointMetadata,
  modelFromCheckpoint,
  stemOf,
  type Checkpoint,
  type CheckpointMetadata,
  type ExportInfo,
  type ModelInfo,
} from "./checkpoint.ts";
export { readSafetensors, writeSafetensors, type SafeTensor, type SafetensorsFile } from "./safetensors.ts";
export { summarize, formatSummary, type Summary, type SummaryRow, type SummaryOptions } from "./summary.ts";
