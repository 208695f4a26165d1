import { beforeAll, describe, expect, it } from "vitest";
import { accumulateMetrics, crossEntropy, crossEntropyRows, fromData, zeros } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/softmax.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { numericGradient } from "../support/gradient.ts";
import { randomArr, randomInts } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

const rowsOf = (logits: Arr, first: number, end: number): Arr => {
  const classes = logits.shape[1];
  return { shape: [end - first, classes], data: logits.data.slice(first * classes, end * classes) };
};

function lossesOf(logits: Arr, labels: number[], labelSmoothing: number): number[] {
  return labels.map(
    (label, n) => reference.crossEntropy(rowsOf(logits, n, n + 1), [label], { labelSmoothing }).data[0],
  );
}

const cases = [
  { N: 1, C: 1, labelSmoothing: 0.1 },
  { N: 1, C: 10, labelSmoothing: 0 },
  { N: 7, C: 10, labelSmoothing: 0.1 },
  { N: 65, C: 3, labelSmoothing: 1 },
  { N: 2, C: 32, labelSmoothing: 0.2 },
  { N: 3, C: 33, labelSmoothing: 0.2 },
  { N: 5, C: 100, labelSmoothing: 0 },
  { N: 9, C: 10, labelSmoothing: 0.1, valid: 6 },
  { N: 5, C: 40, labelSmoothing: 0.1, valid: 1 },
];

describe.each(cases)(
  "crossEntropy $N x $C, smoothing $labelSmoothing, valid $valid",
  ({ N, C, labelSmoothing, valid = N }) => {
    const logits = randomArr([N, C], 11, { min: -4, max: 4 });
    const labels = randomInts(N, 12, { min: 0, max: C });
    const kept = labels.slice(0, valid);
    const options = { labelSmoothing, valid };
    const shapes = { logits: logits.shape };
    const how = { shapes, options, kind: ["softmax", "log", "sum"] as const, terms: C, at: 8 };

    it("loss and gradient", async () => {
      const x = toGpu(logits, { requiresGrad: true });
      const loss = crossEntropy(x, fromData(labels, [N], "u32"), options);
      const f = ([v]: Arr[]): Arr => reference.crossEntropy(rowsOf(v, 0, valid), kept, { labelSmoothing });
      expect(loss.shape).toEqual([]);
      expectClose(await loss.data(), f([logits]), { ...how, op: "crossEntropy", scale: 8 });
      const dy = randomArr([], 13, { min: 1, max: 2 });
      loss.backward(toGpu(dy));
      const scale = 2 / valid;
      expectClose(await x.grad!.data(), numericGradient(f, [logits], 0, dy), { ...how, op: "crossEntropy", scale });
    });

    it("rows and metrics", async () => {
      const x = toGpu(logits);
      const target = fromData(labels, [N], "u32");
      const { losses, correct } = crossEntropyRows(x, target, options);
      const want = lossesOf(logits, kept, labelSmoothing);
      const hits = kept.map((label, n) => {
        const row = [...rowsOf(logits, n, n + 1).data];
        return row.indexOf(Math.max(...row)) === label ? 1 : 0;
      });
      const padding = new Array<number>(N - valid).fill(0);
      expectClose(await losses.data(), [...want, ...padding], { ...how, op: "crossEntropyRows", scale: 8 });
      expect([...(await correct.data())]).toEqual([...hits, ...padding]);

      const before = [0.5, 1, 2, 3];
      const accumulator = fromData(before, [4]);
      accumulateMetrics(x, target, accumulator, options);
      accumulateMetrics(x, target, accumulator, options);
      const twice = (values: number[]): number => 2 * values.reduce((sum, value) => sum + value, 0);
      const got = await accumulator.data();
      const sum = 0.5 + twice(want);
      expectClose(got.slice(0, 1), [sum], { ...how, op: "accumulateMetrics", scale: Math.max(sum, 8) });
      expect([...got.slice(1)]).toEqual([1 + twice(hits), 2 + 2 * valid, 3]);
    });
  },
);

it("stays finite where exp overflows, and keeps far logits' losses", async () => {
  const logits = { shape: [2, 3], data: Float64Array.from([3e4, 0, -3e4, -1e9, 1e9, 0]) };
  const { losses } = crossEntropyRows(toGpu(logits), fromData([2, 0], [2], "u32"));
  expect([...(await losses.data())]).toEqual([6e4, 2e9]);
});

it("takes the first of equal logits", async () => {
  const logits = fromData([1, 3, 3, 0, 2, 2, 2, 2], [2, 4]);
  const { correct } = crossEntropyRows(logits, fromData([1, 1], [2], "u32"));
  expect([...(await correct.data())]).toEqual([1, 0]);
  // The same where 32 invocations share a row: the equal ones then lie in different lanes.
  const wide = new Float32Array(2 * 64).fill(-1);
  for (const at of [35, 40, 64 + 3, 64 + 34]) wide[at] = 5;
  const { correct: shared } = crossEntropyRows(fromData(wide, [2, 64]), fromData([35, 34], [2], "u32"));
  expect([...(await shared.data())]).toEqual([1, 0]);
});

it("counts losses that are not finite, and does not take them for correct", async () => {
  const logits = fromData([1, 2, NaN, NaN, Infinity, 0, 0, 1], [4, 2]);
  const accumulator = fromData([0, 0, 0, 0], [4]);
  accumulateMetrics(logits, fromData([1, 0, 1, 1], [4], "u32"), accumulator);
  const [sum, correct, rows, bad] = await accumulator.data();
  expect([correct, rows, bad]).toEqual([2, 4, 2]);
  expect(sum).toBeNaN();
});

it("makes the loss NaN for a label that is no class", async () => {
  const loss = crossEntropy(toGpu(randomArr([2, 3], 1)), fromData([1, 3], [2], "u32"));
  expect(await loss.item()).toBeNaN();
});

it("names what does not fit", () => {
  const logits = toGpu(randomArr([4, 3], 1));
  const labels = fromData([0, 1, 2, 0], [4], "u32");
  expect(() => crossEntropy(logits, fromData([0, 1], [2], "u32"))).toThrow(
    "crossEntropy: logits [4,3] need labels u32 [4]",
  );
  expect(() => crossEntropy(logits, fromData([0, 1, 2, 0], [4]))).toThrow("got Tensor f32[4]");
  expect(() => crossEntropy(logits, labels, { labelSmoothing: 1.5 })).toThrow("labelSmoothing must be 0 to 1");
  expect(() => crossEntropy(logits, labels, { valid: 5 })).toThrow("valid must be 1 to the 4 rows");
  expect(() => accumulateMetrics(logits, labels, fromData([0, 0], [2]))).toThrow("accumulator must be f32 [4]");
});

/** torch.finfo(torch.float32).min, which masks too. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

it("crossEntropy of classes that are all masked with the lowest float: each is as likely", async () => {
  for (const C of [3, 40]) {
    const logits = fromData(new Array<number>(2 * C).fill(LOWEST), [2, C]);
    const { losses, correct } = crossEntropyRows(logits, fromData([0, 2], [2], "u32"));
    const want = Math.log(C);
    const how = { op: "crossEntropy", shapes: { logits: [2, C] }, kind: ["exp", "sum", "log", "add"] as const, terms: C, scale: want, at: 0 }; // prettier-ignore
    expectClose(await losses.data(), [want, want], how);
    expect([...(await correct.data())]).toEqual([1, 0]);
    const accumulator = zeros([4]);
    accumulateMetrics(logits, fromData([0, 2], [2], "u32"), accumulator);
    const [sum, ...counts] = await accumulator.data();
    expectClose([sum], [2 * want], how);
    expect(counts).toEqual([1, 2, 0]);
  }
});

it.each([3, 40])("crossEntropy of %i classes, most of them masked", async (C) => {
  for (const masked of [-1e38, LOWEST, -Infinity]) {
    const logits = fromData([1, 2, ...new Array<number>(C - 2).fill(masked)], [1, C]);
    const label = fromData([0], [1], "u32");
    const want = { shape: [], data: [Math.log(1 + Math.E)] };
    const how = {
      op: "crossEntropy",
      shapes: { logits: [1, C] },
      kind: ["softmax", "log", "sum"] as const,
      terms: 2,
      scale: 2,
      at: 2,
    };
    expectClose(await crossEntropy(logits, label).data(), want, how);
    const { losses, correct } = crossEntropyRows(logits, label);
    expectClose(await losses.data(), { ...want, shape: [1] }, how);
    const accumulator = zeros([4]);
    accumulateMetrics(logits, label, accumulator);
    const [sum, ...counts] = await accumulator.data();
    expectClose([sum], { ...want, shape: [1] }, how);
    expect([counts, await correct.array()]).toEqual([[0, 1, 0], [0]]);
  }
});
