// The references of the image ops, held against second formulations, closed forms and PyTorch's documented values.
import { describe, expect, it } from "vitest";
import { type Arr, fromFlat, full, map, zeros } from "./reference/array.ts";
import { batchNorm, channelStatistics } from "./reference/batch-norm.ts";
import { conv2d, conv2dGradients, type Conv2dOptions } from "./reference/conv2d.ts";
import * as elementwise from "./reference/elementwise.ts";
import { matmul } from "./reference/matmul.ts";
import { concat, pad, permute, reshape, slice } from "./reference/moves.ts";
import { avgPool2d, globalAveragePool, maxPool2d } from "./reference/pooling.ts";
import { argmax, mean, sum, variance } from "./reference/reduce.ts";
import { resizeBilinear } from "./reference/resize.ts";
import { checkGradient, flat, same } from "./support/closed-form.ts";
import { randomAwayFromKinks, type Reference } from "./support/gradient.ts";
import { randomArr } from "./support/random.ts";

/** conv2d as a sum over taps of (shifted, strided x) times (that tap's [C,K] matrix), one group after the other. */
function convByTaps(x: Arr, weight: Arr, { stride = 1, padding = 0, dilation = 1, groups = 1 }: Conv2dOptions): Arr {
  if (typeof stride !== "number" || typeof padding !== "number" || typeof dilation !== "number")
    throw new Error("numbers");
  const [N, , , C] = x.shape;
  const [R, S, , K] = weight.shape;
  const padded = pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]]); // prettier-ignore
  const P = Math.floor((padded.shape[1] - dilation * (R - 1) - 1) / stride) + 1;
  const Q = Math.floor((padded.shape[2] - dilation * (S - 1) - 1) / stride) + 1;
  const parts = Array.from({ length: groups }, (_, g) => {
    let y = zeros([N, P, Q, K / groups]);
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const first = [0, r * dilation, s * dilation, (g * C) / groups];
        const last = [N, first[1] + stride * (P - 1) + 1, first[2] + stride * (Q - 1) + 1, ((g + 1) * C) / groups];
        const shifted = slice(padded, first, last, [1, stride, stride, 1]);
        const tap = slice(weight, [r, s, 0, (g * K) / groups], [r + 1, s + 1, C / groups, ((g + 1) * K) / groups]);
        y = elementwise.add(y, matmul(shifted, reshape(tap, [C / groups, K / groups])));
      }
    }
    return y;
  });
  return concat(parts, 3);
}

describe("conv2d", () => {
  const cases: [string, number[], number[], Conv2dOptions][] = [
    ["3x3 padded", [2, 5, 6, 3], [3, 3, 3, 4], { padding: 1 }],
    ["strided 1x1", [1, 5, 5, 4], [1, 1, 4, 2], { stride: 2 }],
    ["strided, dilated, uneven", [1, 9, 7, 2], [2, 3, 2, 3], { stride: 2, dilation: 2, padding: 2 }],
    ["two groups", [1, 4, 4, 6], [3, 3, 3, 4], { groups: 2, padding: 1 }],
    ["depthwise with a multiplier", [2, 4, 3, 3], [3, 3, 1, 6], { groups: 3, padding: 1 }],
  ];
  it.each(cases)(
    "%s: equals a sum over taps, and its gradients the central differences",
    (_, xShape, wShape, options) => {
      const x = randomArr(xShape, 1);
      const weight = randomArr(wShape, 2);
      same(conv2d(x, weight, options), convByTaps(x, weight, options));
      const f: Reference = ([a, b]) => conv2d(a, b, options);
      checkGradient(f, [x, weight], 0, (dy) => conv2dGradients(x, weight, dy, options).dx);
      checkGradient(f, [x, weight], 1, (dy) => conv2dGradients(x, weight, dy, options).dweight);
    },
  );
  it("takes different options for rows and columns, and a bias", () => {
    const x = fromFlat([1, 2, 3, 1], [1, 2, 3, 4, 5, 6]);
    const weight = fromFlat([2, 1, 1, 1], [1, 10]);
    expect(conv2d(x, weight, { stride: [1, 2], padding: [1, 0] }, flat(100))).toEqual(
      fromFlat([1, 3, 2, 1], [110, 130, 141, 163, 104, 106]),
    );
    const dy = randomArr([1, 3, 2, 1], 4);
    const { dbias } = conv2dGradients(x, weight, dy, { stride: [1, 2], padding: [1, 0] });
    same(dbias, reshape(sum(dy), [1]));
    expect(() => conv2d(x, zeros([1, 1, 2, 1]))).toThrow("groups");
  });
});

describe("batch norm", () => {
  const shape = [3, 2, 2, 4];
  const x = randomArr(shape, 1, { min: -2, max: 3 });
  const gamma = randomArr([4], 2, { min: 0.5, max: 2 });
  const beta = randomArr([4], 3);
  const fresh = { runningMean: zeros([4]), runningVar: full([4], 1) };

  it("training gives each channel mean beta and biased variance gamma^2 v / (v + eps)", () => {
    const { y, variance: v } = batchNorm(x, gamma, beta, { training: true, ...fresh });
    const after = channelStatistics(y);
    same(after.mean, beta);
    same(
      after.variance,
      map(gamma, (g, c) => (g * g * v.data[c]) / (v.data[c] + 1e-5)),
    );
    same(v, variance(x, { axes: [0, 1, 2], correction: 0 }));
  });
  it("moves the running statistics by momentum, with the unbiased variance; evaluation only uses them", () => {
    const trained = batchNorm(x, gamma, beta, { training: true, ...fresh });
    same(
      trained.runningMean,
      map(mean(x, { axes: [0, 1, 2] }), (m) => 0.1 * m),
    );
    same(
      trained.runningVar,
      map(variance(x, { axes: [0, 1, 2] }), (v) => 0.9 + 0.1 * v),
    );
    const evaluated = batchNorm(x, gamma, beta, { training: false, eps: 0, ...fresh });
    same(evaluated.y, elementwise.add(elementwise.mul(x, gamma), beta));
    expect(evaluated.runningMean).toBe(fresh.runningMean);
    expect(() => batchNorm(zeros([1, 1, 1, 4]), gamma, beta, { training: true, ...fresh })).toThrow("more than one");
  });
  it("dx = gamma / sigma (dy - mean(dy) - xhat mean(dy xhat)); add and relu come last", () => {
    const f: Reference = ([a]) => batchNorm(a, gamma, beta, { training: true, ...fresh }).y;
    const { mean: m, variance: v } = channelStatistics(x);
    const xhat = map(x, (value, i) => (value - m.data[i % 4]) / Math.sqrt(v.data[i % 4] + 1e-5));
    checkGradient(f, [x], 0, (dy) => {
      const dyMean = channelStatistics(dy).mean;
      const dyXhatMean = channelStatistics(elementwise.mul(dy, xhat)).mean;
      return map(dy, (g, i) => {
        const c = i % 4;
        const inner = g - dyMean.data[c] - xhat.data[i] * dyXhatMean.data[c];
        return (gamma.data[c] / Math.sqrt(v.data[c] + 1e-5)) * inner;
      });
    });
    const add = randomArr(shape, 5);
    const fused = batchNorm(x, gamma, beta, { training: true, ...fresh, add, relu: true }).y;
    same(fused, elementwise.relu(elementwise.add(f([x]), add)));
    expect(fused.data.some((value) => value === 0)).toBe(true);
  });
});

describe("pooling and resize", () => {
  const x = fromFlat([1, 3, 3, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  it("pools windows, with the padding minus infinity for max and zero for average", () => {
    const same3 = { kernel: 3, stride: 1, padding: 1 };
    expect(maxPool2d(x, same3).data).toEqual(Float64Array.of(5, 6, 6, 8, 9, 9, 8, 9, 9));
    expect(maxPool2d(map(x, (v) => -v), same3).data[0]).toBe(-1); // prettier-ignore
    expect(avgPool2d(x, same3).data[0]).toBe(12 / 9);
    expect(avgPool2d(x, { ...same3, countIncludePad: false }).data[0]).toBe(3);
    expect(avgPool2d(x, { kernel: 2 })).toEqual(fromFlat([1, 1, 1, 1], [3]));
    expect(maxPool2d(x, { kernel: [1, 2], stride: [2, 1] })).toEqual(fromFlat([1, 2, 2, 1], [2, 3, 8, 9]));
    expect(globalAveragePool(x)).toEqual(fromFlat([1, 1], [5]));
    expect(globalAveragePool(x, true).shape).toEqual([1, 1, 1, 1]);
  });
  it("max pooling sends the gradient to the largest", () => {
    const apart = randomAwayFromKinks([1, 4, 4, 1], 7, { kinks: [] });
    const positions = fromFlat([1, 4, 4, 1], Array.from(apart.data.keys()));
    checkGradient(
      ([a]) => maxPool2d(a, { kernel: 2 }),
      [apart],
      0,
      (dy) => {
        const windows = (a: Arr): Arr => permute(reshape(a, [2, 2, 2, 2]), [0, 2, 1, 3]);
        const winners = argmax(windows(apart), { axes: [2, 3] });
        const where = windows(positions);
        const dx = zeros(apart.shape);
        winners.data.forEach((winner, window) => (dx.data[where.data[window * 4 + winner]] = dy.data[window]));
        return dx;
      },
    );
  });
  it("resizes with half-pixel centres and clamped edges", () => {
    // torch.nn.functional.interpolate(tensor([[[[1., 2.], [3., 4.]]]]), scale_factor=2, mode="bilinear"): its documentation
    const small = fromFlat([1, 2, 2, 1], [1, 2, 3, 4]);
    const want = [1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4];
    expect(resizeBilinear(small, 4, 4)).toEqual(fromFlat([1, 4, 4, 1], want));
    same(resizeBilinear(x, 3, 3), x);
    expect(resizeBilinear(x, 1, 1).data[0]).toBe(5);
    expect(resizeBilinear(fromFlat([1, 1, 4, 1], [0, 1, 2, 3]), 1, 2).data).toEqual(Float64Array.of(0.5, 2.5));
  });
});
