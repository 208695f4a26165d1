// kiln.browser.js: engine, nn and training for a page without a bundler.
export * from "../engine/index.ts";
export * from "../nn/index.ts";
export * from "../training/core.ts";
// Names that two of them have: these are meant. The tensors' own op is crossEntropyOp.
export { crossEntropy, type LoadOptions } from "../training/core.ts";
export { crossEntropy as crossEntropyOp } from "../engine/index.ts";
export type { Conv2dOptions, PoolOptions } from "../nn/index.ts";
