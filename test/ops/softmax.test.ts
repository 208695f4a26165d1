import { beforeAll, describe, expect, it } from "vitest";
import { logSoftmax, softmax, type Tensor } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/softmax.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { numericGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

const ops: [string, (x: Tensor, axis?: number) => Tensor, (x: Arr, axis?: number) => Arr][] = [
  ["softmax", softmax, reference.softmax],
  ["logSoftmax", logSoftmax, reference.logSoftmax],
];

// Rows of one value, rows below and above the 32 where invocations start to share them, several workgroups, and inner axes.
const cases: { shape: number[]; axis: number }[] = [
  { shape: [1], axis: 0 },
  { shape: [5, 1], axis: -1 },
  { shape: [65, 3], axis: 1 },
  { shape: [3, 32], axis: -1 },
  { shape: [3, 33], axis: -1 },
  { shape: [5, 100], axis: 1 },
  { shape: [2, 5, 3], axis: 1 },
  { shape: [40, 3], axis: 0 },
  { shape: [2, 3, 2, 3], axis: -3 },
];

describe.each(ops)("%s", (op, run, expected) => {
  it.each(cases)("$shape along $axis", async ({ shape, axis }) => {
    const x = randomArr(shape, 1, { min: -4, max: 4 });
    const dy = randomArr(shape, 2);
    const input = toGpu(x, { requiresGrad: true });
    const y = run(input, axis);
    const how = { op, shapes: { x: shape }, options: { axis }, kind: ["softmax", "log", "sum"] as const, at: 8 };
    // The logarithm's terms are of the size of the logits.
    const scale = op === "softmax" ? 1 : 8;
    const terms = shape.at(axis)!;
    expectClose(await y.data(), expected(x, axis), { ...how, scale, terms });
    y.backward(toGpu(dy));
    const dx = numericGradient(([v]) => expected(v, axis), [x], 0, dy);
    expectClose(await input.grad!.data(), dx, { ...how, terms, scale: Math.sqrt(terms) });
  });

  it("does not overflow", async () => {
    const x = { shape: [2, 3], data: Float64Array.from([3e4, 0, -3e4, -1e30, -1e30, 1e30]) };
    expectClose(await run(toGpu(x)).data(), expected(x), { op, shapes: { x: x.shape }, kind: ["exp", "div"], at: 0 });
  });

  it("refuses an axis that is not there", () => {
    expect(() => run(toGpu(randomArr([2, 3], 1)), 2)).toThrow(`${op}: axis 2`);
  });
});

it("runs more rows than one dimension of workgroups holds", async () => {
  const [rows, columns] = [65_536 * 2 + 7, 5];
  const x = randomArr([rows, columns], 5);
  const y = (await logSoftmax(toGpu(x)).data()).slice(-columns * 3);
  const tail = { shape: [3, columns], data: x.data.slice(-columns * 3) };
  expectClose(y, reference.logSoftmax(tail), {
    op: "logSoftmax",
    shapes: { x: x.shape },
    kind: ["softmax", "log", "sum"],
    terms: columns,
    scale: 4,
    at: 2,
  });
});
