// @ts-check
// All families of the kernel tour, in its order.
import { batchNorm } from "./batch-norm.js";
import { matmul } from "./matmul.js";
import { optimizerStep } from "./optimizer-step.js";
import { reduce } from "./reduce.js";

export const families = [matmul, batchNorm, reduce, optimizerStep];
