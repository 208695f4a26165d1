// @ts-check
// All families of the kernel tour, in its order.
import { batchNorm } from "./batch-norm.js";
import { conv2d } from "./conv2d.js";
import { matmul } from "./matmul.js";
import { optimizerStep } from "./optimizer-step.js";
import { reduce } from "./reduce.js";
import { winograd } from "./winograd.js";

export const families = [matmul, conv2d, winograd, batchNorm, reduce, optimizerStep];
