// The references are what every kernel is held against, so they are held against something else here: closed forms, known digits,
// second formulations and values worked out by hand from PyTorch's documentation. The image ops are in reference-images.test.ts.
import { describe, expect, it } from "vitest";
import { fromFlat, full, map, zeros } from "./reference/array.ts";
import * as elementwise from "./reference/elementwise.ts";
import { erf, erfc } from "./reference/erf.ts";
import { matmul } from "./reference/matmul.ts";
import { concat, gather, pad, permute, reshape, slice } from "./reference/moves.ts";
import { adamState, adamStep, adamWStep, sgdStep } from "./reference/optimizers.ts";
import { argmax, max, mean, sum, variance } from "./reference/reduce.ts";
import { crossEntropy, logSoftmax, softmax } from "./reference/softmax.ts";
import { checkGradient, flat, same } from "./support/closed-form.ts";
import { randomAwayFromKinks, type Reference } from "./support/gradient.ts";
import { randomArr } from "./support/random.ts";

describe("elementwise", () => {
  it("erf and erfc have the published digits", () => {
    // Abramowitz & Stegun table 7.1, further digits from the C library's erf (through Python)
    const known: [number, number][] = [
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [1.99, 0.995111413199617],
      [2, 0.9953222650189527],
      [3, 0.9999779095030014],
    ];
    for (const [x, want] of known) {
      expect(Math.abs(erf(x) - want)).toBeLessThanOrEqual(4 * Number.EPSILON);
      expect(erf(-x)).toBe(-erf(x));
    }
    expect(Math.abs(erfc(1) / 0.15729920705028513 - 1)).toBeLessThan(8 * Number.EPSILON);
    expect(Math.abs(erfc(5) / 1.537459794428035e-12 - 1)).toBeLessThan(64 * Number.EPSILON);
    // both sides of the switch of formulas
    expect(Math.abs(erf(2) - erf(2 - 1e-12) - (2 / Math.sqrt(Math.PI)) * Math.exp(-4) * 1e-12)).toBeLessThan(1e-15);
  });

  const x = randomArr([4, 5], 1, { min: 0.2, max: 2 });
  const logistic = elementwise.sigmoid;
  const density = (v: number): number => Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI);
  const derivatives: Record<string, [Reference, (v: number) => number]> = {
    gelu: [([a]) => elementwise.gelu(a), (v) => (1 + erf(v / Math.SQRT2)) / 2 + v * density(v)],
    sigmoid: [([a]) => logistic(a), (v) => 1 / (2 + Math.exp(v) + Math.exp(-v))],
    silu: [([a]) => elementwise.silu(a), (v) => (1 + Math.exp(-v) * (1 + v)) / (1 + Math.exp(-v)) ** 2],
    tanh: [([a]) => elementwise.tanh(a), (v) => 1 / Math.cosh(v) ** 2],
    exp: [([a]) => elementwise.exp(a), Math.exp],
    log: [([a]) => elementwise.log(a), (v) => 1 / v],
    sqrt: [([a]) => elementwise.sqrt(a), (v) => 0.5 / Math.sqrt(v)],
    square: [([a]) => elementwise.square(a), (v) => 2 * v],
    reciprocal: [([a]) => elementwise.reciprocal(a), (v) => -1 / (v * v)],
    neg: [([a]) => elementwise.neg(a), () => -1],
  };
  it.each(Object.entries(derivatives))("%s has its derivative", (_, [f, derivative]) => {
    checkGradient(f, [x], 0, (dy) => map(dy, (g, i) => g * derivative(x.data[i])));
  });

  it("relu, leaky relu and abs have theirs on both sides of 0, and relu lets NaN through", () => {
    const signed = randomAwayFromKinks([4, 6], 3);
    expect(signed.data.some((v) => v < 0) && signed.data.some((v) => v > 0)).toBe(true);
    const against = (f: Reference, below: number): void =>
      checkGradient(f, [signed], 0, (dy) => map(dy, (g, i) => (signed.data[i] < 0 ? below * g : g)));
    against(([a]) => elementwise.relu(a), 0);
    against(([a]) => elementwise.leakyRelu(a, 0.2), 0.2);
    against(([a]) => elementwise.abs(a), -1);
    expect(elementwise.relu(flat(NaN)).data[0]).toBeNaN();
  });

  it("binary ops broadcast as NumPy's do", () => {
    const column = fromFlat([2, 1], [10, 20]);
    const row = flat(1, 2, 4);
    expect(elementwise.sub(column, row)).toEqual(fromFlat([2, 3], [9, 8, 6, 19, 18, 16]));
    expect(elementwise.div(column, row)).toEqual(fromFlat([2, 3], [10, 5, 2.5, 20, 10, 5]));
    expect(elementwise.pow(row, column).data[4]).toBe(2 ** 20);
    expect(elementwise.maximum(flat(1, 5), flat(3, 2)).data).toEqual(Float64Array.of(3, 5));
    expect(elementwise.minimum(flat(1, NaN), flat(3, 2)).data).toEqual(Float64Array.of(1, NaN));
    expect(() => elementwise.add(flat(1, 2), row)).toThrow("do not broadcast");
  });

  it("mul and pow: the gradient of a stretched input sums over the stretched axis", () => {
    const a = randomArr([3, 1], 5, { min: 0.5, max: 2 });
    const b = randomArr([4], 6, { min: 0.5, max: 2 });
    checkGradient(
      ([p, q]) => elementwise.mul(p, q),
      [a, b],
      1,
      (dy) =>
        sum(
          map(dy, (g, i) => g * a.data[Math.floor(i / 4)]),
          { axes: [0] },
        ),
    );
    checkGradient(
      ([p, q]) => elementwise.pow(p, q),
      [a, b],
      0,
      (dy) => {
        const perElement = map(dy, (g, i) => g * b.data[i % 4] * a.data[Math.floor(i / 4)] ** (b.data[i % 4] - 1));
        return sum(perElement, { axes: [1], keepDims: true });
      },
    );
  });

  it("dropout scales what it keeps", () => {
    expect(elementwise.dropout(flat(1, 2, 3), flat(1, 0, 1), 0.25).data).toEqual(Float64Array.of(4 / 3, 0, 4));
  });
});

describe("reductions", () => {
  const x = fromFlat([2, 3, 2], [1, 8, 3, 6, 5, 4, 7, 2, 9, 9, 11, 0]);
  it("over any axes, with or without keeping them", () => {
    expect(sum(x).shape).toEqual([]);
    expect(sum(x).data[0]).toBe(65);
    expect(sum(x, { axes: [0, 2] })).toEqual(flat(18, 27, 20));
    expect(mean(x, { axes: [-1], keepDims: true })).toEqual(fromFlat([2, 3, 1], [4.5, 4.5, 4.5, 4.5, 9, 5.5]));
    expect(max(x, { axes: [1] })).toEqual(fromFlat([2, 2], [5, 8, 11, 9]));
  });
  it("argmax takes the first of equal values and counts within the reduced axes", () => {
    expect(argmax(x, { axes: [2] }).data).toEqual(Float64Array.of(1, 1, 0, 0, 0, 0));
    expect(argmax(x, { axes: [0, 2] }).data).toEqual(Float64Array.of(1, 2, 2));
    expect(argmax(x).data[0]).toBe(10);
  });
  it("variance divides by n - correction, its gradient is 2 (x - mean) / (n - correction)", () => {
    expect(variance(flat(1, 2, 3, 4)).data[0]).toBe(5 / 3);
    expect(variance(flat(1, 2, 3, 4), { correction: 0 }).data[0]).toBe(5 / 4);
    const v = randomArr([7], 8);
    const centre = mean(v).data[0];
    checkGradient(
      ([a]) => variance(a),
      [v],
      0,
      (dy) => map(v, (value) => (dy.data[0] * 2 * (value - centre)) / 6),
    );
  });
});

describe("matmul", () => {
  it("multiplies, transposes and broadcasts the batch", () => {
    const a = fromFlat([2, 2], [1, 2, 3, 4]);
    const b = fromFlat([2, 2], [5, 6, 7, 8]);
    expect(matmul(a, b).data).toEqual(Float64Array.of(19, 22, 43, 50));
    expect(matmul(a, b, { transposeA: true }).data).toEqual(Float64Array.of(26, 30, 38, 44));
    expect(matmul(a, b, { transposeB: true }).data).toEqual(Float64Array.of(17, 23, 39, 53));
    const wide = randomArr([3, 1, 2, 4], 1);
    const tall = randomArr([2, 4, 5], 2);
    const y = matmul(wide, tall);
    expect(y.shape).toEqual([3, 2, 2, 5]);
    const lone = matmul(reshape(slice(wide, [2], [3]), [2, 4]), reshape(slice(tall, [1], [2]), [4, 5]));
    same(reshape(slice(y, [2, 1], [3, 2]), [2, 5]), lone);
  });
  it("its gradients are products with the transposes", () => {
    const a = randomArr([3, 4], 3);
    const b = randomArr([4, 2], 4);
    const f: Reference = ([p, q]) => matmul(p, q);
    checkGradient(f, [a, b], 0, (dy) => matmul(dy, b, { transposeB: true }));
    checkGradient(f, [a, b], 1, (dy) => matmul(a, dy, { transposeA: true }));
  });
});
describe("softmax and cross-entropy", () => {
  const logits = randomArr([4, 5], 1, { min: -3, max: 3 });
  it("softmax sums to one along any axis, is unmoved by a shift and does not overflow", () => {
    for (const axis of [0, 1, -2]) same(sum(softmax(logits, axis), { axes: [axis] }), full([axis === 1 ? 4 : 5], 1));
    same(softmax(map(logits, (v) => v + 1000)), softmax(map(logits, (v) => v + 1000 - 1000)));
    expect(logSoftmax(flat(0, Math.log(3))).data[0]).toBeCloseTo(Math.log(1 / 4), 14);
    expect(softmax(flat(1e4, 0)).data).toEqual(Float64Array.of(1, 0));
  });
  it("the loss of even logits is log C, and its gradient is (softmax - q) / N", () => {
    expect(crossEntropy(zeros([2, 10]), [3, 9], { labelSmoothing: 0.1 }).data[0]).toBeCloseTo(Math.log(10), 14);
    const labels = [1, 4, 0, 1];
    const [N, C] = logits.shape;
    for (const labelSmoothing of [0, 0.2]) {
      checkGradient(
        ([a]) => crossEntropy(a, labels, { labelSmoothing }),
        [logits],
        0,
        (dy) =>
          map(softmax(logits), (p, i) => {
            const onehot = labels[Math.floor(i / C)] === i % C ? 1 : 0;
            return (dy.data[0] * (p - (1 - labelSmoothing) * onehot - labelSmoothing / C)) / N;
          }),
      );
    }
  });
});

describe("moves", () => {
  const x = fromFlat([2, 3], [1, 2, 3, 4, 5, 6]);
  it("put elements where NumPy puts them", () => {
    expect(permute(x, [1, 0])).toEqual(fromFlat([3, 2], [1, 4, 2, 5, 3, 6]));
    const cube = fromFlat(
      [2, 3, 4],
      Array.from({ length: 24 }, (_, i) => i),
    );
    const turned = permute(cube, [2, 0, 1]);
    expect(turned.shape).toEqual([4, 2, 3]);
    expect(turned.data[3 * 6 + 1 * 3 + 2]).toBe(1 * 12 + 2 * 4 + 3);
    expect(slice(x, [0, 0], [2, 3], [1, 2])).toEqual(fromFlat([2, 2], [1, 3, 4, 6]));
    expect(slice(x, [-1, 1], [9, -1])).toEqual(fromFlat([1, 1], [5]));
    expect(concat([x, fromFlat([2, 1], [7, 8])], -1)).toEqual(fromFlat([2, 4], [1, 2, 3, 7, 4, 5, 6, 8]));
    expect(pad(fromFlat([1, 2], [1, 2]), [[1, 0], [0, 1]], 9)).toEqual(fromFlat([2, 3], [9, 9, 9, 1, 2, 9])); // prettier-ignore
    expect(gather(x, [2, 0, 2], 1)).toEqual(fromFlat([2, 3], [3, 1, 3, 6, 4, 6]));
    expect(() => reshape(x, [4, 2])).toThrow("needs 8 values");
  });
  it("gather's gradient adds up where an index repeats", () => {
    checkGradient(
      ([a]) => gather(a, [1, 1, 0]),
      [x],
      0,
      (dy) =>
      fromFlat([2, 3], [0, 1, 2, 3, 4, 5].map((i) => (i < 3 ? dy.data[6 + i] : dy.data[i - 3] + dy.data[i]))), // prettier-ignore
    );
  });
});

describe("optimizers", () => {
  const w = flat(1);
  const g = flat(0.5);
  it("SGD: the first buffer is the undamped gradient; the rate comes after the momentum", () => {
    const options = { lr: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.2 };
    const first = sgdStep(w, g, {}, options); // d = 0.5 + 0.2 = 0.7 = buffer
    same(first.w, flat(1 - 0.07));
    const second = sgdStep(first.w, g, first.state, options); // d = 0.5 + 0.2 * 0.93 = 0.686, buffer = 0.63 + 0.343
    same(second.w, flat(0.93 - 0.0973));
    const nesterov = sgdStep(w, g, {}, { lr: 0.1, momentum: 0.9, nesterov: true }); // 0.5 + 0.9 * 0.5
    same(nesterov.w, flat(1 - 0.095));
    same(sgdStep(w, g, {}, { lr: 0.1 }).w, flat(0.95));
  });
  it("Adam's first step is lr g / (|g| + eps); the decay joins the gradient, AdamW's shrinks the weight", () => {
    const lr = 0.01;
    same(adamStep(w, g, adamState(w), { lr }).w, flat(1 - (lr * 0.5) / (0.5 + 1e-8)));
    same(adamStep(w, flat(-0.5), adamState(w), { lr, weightDecay: 0.5 }).w, w);
    same(adamWStep(w, g, adamState(w), { lr }).w, flat(1 - lr * 1e-2 - (lr * 0.5) / (0.5 + 1e-8)));
  });
  it("Adam's second step, worked out by hand", () => {
    const options = { lr: 0.1, betas: [0.5, 0.75] as const, eps: 0 };
    const first = adamStep(w, flat(1), adamState(w), options);
    const second = adamStep(first.w, flat(-3), first.state, options);
    // m = 0.5 * 0.5 - 0.5 * 3 = -1.25, corrected / 0.75; v = 0.75 * 0.25 + 0.25 * 9 = 2.4375, corrected / 0.4375
    same(second.w, flat(0.9 + (0.1 * (1.25 / 0.75)) / Math.sqrt(2.4375 / 0.4375)));
    expect(second.state.step).toBe(2);
  });
});
