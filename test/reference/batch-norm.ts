import { type Arr, map, zeros } from "./array.ts";

export interface BatchNormOptions {
  training: boolean;
  /** [C] each; used as they are in evaluation, moved by `momentum` in training. PyTorch starts them at 0 and 1. */
  runningMean: Arr;
  runningVar: Arr;
  /** Share of the new value in the running statistics (PyTorch's convention). */
  momentum?: number;
  eps?: number;
  /** Added after the affine map, before relu: the residual of a ResNet block. */
  add?: Arr;
  relu?: boolean;
}

export interface BatchNormResult {
  y: Arr;
  /** The statistics that normalised: the batch's (biased variance) in training, the running ones in evaluation. */
  mean: Arr;
  variance: Arr;
  runningMean: Arr;
  runningVar: Arr;
}

/** Mean and biased variance of each channel of x [...,C]. */
export function channelStatistics(x: Arr): { mean: Arr; variance: Arr } {
  const C = x.shape.at(-1)!;
  const n = x.data.length / C;
  const mean = zeros([C]);
  const variance = zeros([C]);
  for (let i = 0; i < x.data.length; i++) mean.data[i % C] += x.data[i] / n;
  for (let i = 0; i < x.data.length; i++) variance.data[i % C] += (x.data[i] - mean.data[i % C]) ** 2 / n;
  return { mean, variance };
}

/**
 * x [...,C] normalised per channel: gamma (x - mean) / sqrt(variance + eps) + beta (+ add, then relu). Training normalises with the
 * biased variance but stores the unbiased one, n / (n - 1) larger.
 */
export function batchNorm(x: Arr, gamma: Arr, beta: Arr, options: BatchNormOptions): BatchNormResult {
  const { training, momentum = 0.1, eps = 1e-5, add, relu = false } = options;
  const C = x.shape.at(-1)!;
  const n = x.data.length / C;
  if (training && n < 2) throw new Error("batchNorm: training needs more than one value per channel");
  const { mean, variance } = training
    ? channelStatistics(x)
    : { mean: options.runningMean, variance: options.runningVar };
  const y = map(x, (value, i) => {
    const c = i % C;
    const normalised = (value - mean.data[c]) / Math.sqrt(variance.data[c] + eps);
    const out = gamma.data[c] * normalised + beta.data[c] + (add === undefined ? 0 : add.data[i]);
    return relu && out < 0 ? 0 : out;
  });
  const move = (running: Arr, batch: Arr, factor: number): Arr =>
    training ? map(running, (value, c) => (1 - momentum) * value + momentum * factor * batch.data[c]) : running;
  const runningMean = move(options.runningMean, mean, 1);
  const runningVar = move(options.runningVar, variance, n / (n - 1));
  return { y, mean, variance, runningMean, runningVar };
}
