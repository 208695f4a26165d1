import { beforeAll, describe, expect, it } from "vitest";
import { fromData, scope, type Tensor } from "../../engine/index.ts";
import { sumTo } from "../../engine/ops/reduce-axes.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/reduce.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

describe("long reductions take several passes", () => {
  // One pass, its limit, past it; rows that are multiples of 4 and not; columns of 1, 3 and 16; three passes.
  it.each([
    [[511], [0]],
    [[512], [0]],
    [[513], [0]],
    [[2, 2052], [1]],
    [[3, 2051], [1]],
    [[1300, 3], [0]],
    [[2, 700, 16], [1]],
    [[5, 600, 3], [1]],
    [[400_000], [0]],
    [[33_001, 4], [0]],
  ])("%j over %j", async (shape, axes) => {
    const x = randomArr(shape, 61);
    const inputs = { x };
    const options = { axes };
    const terms = shape[axes[0]];
    await checkOp({
      ...{ op: "sum", inputs, run: (x: Tensor) => x.sum(options), reference: (x: Arr) => reference.sum(x, options) },
      forward: { terms, scale: 1 },
    });
    await checkOp({
      ...{ op: "mean", inputs, run: (x: Tensor) => x.mean(options), reference: (x: Arr) => reference.mean(x, options) },
      forward: { terms, scale: 1 / terms },
    });
    await checkOp({
      ...{ op: "max", inputs, run: (x: Tensor) => x.max(options), reference: (x: Arr) => reference.max(x, options) },
      forward: { kind: "exact" },
    });
  });

  it("gives the same bits every time", async () => {
    const x = toGpu(randomArr([100_003], 62));
    const first = await x.sum().item();
    for (let i = 0; i < 3; i++) expect(await x.sum().item()).toBe(first);
    x.dispose();
  });
});

it("runs more than 65,535 workgroups", async () => {
  const rows = 65_535 * 64 + 100;
  const bits = new Float32Array(rows * 2);
  for (let i = 0; i < bits.length; i++) bits[i] = ((Math.imul(i, 2654435761) >>> 8) % 1000) - 500;
  const [position, total] = scope(() => {
    const x = fromData(bits, [rows, 2]);
    return [x.argmax(1), x.sum({ axes: 1 })];
  });
  const [positions, totals] = [await position.data(), await total.data()];
  let wrong = 0;
  for (let row = 0; row < rows; row++) {
    const [a, b] = [bits[row * 2], bits[row * 2 + 1]];
    if (positions[row] !== (b > a ? 1 : 0) || totals[row] !== a + b) wrong++;
  }
  position.dispose();
  total.dispose();
  expect(wrong).toBe(0);
});

describe("sumTo", () => {
  it.each([
    [[4, 5], [5], [0], [5]],
    [
      [2, 3, 4, 8],
      [2, 1, 1, 8],
      [1, 2],
      [2, 1, 1, 8],
    ],
    [
      [2, 3, 4],
      [3, 1],
      [0, 2],
      [3, 1],
    ],
    [[2, 3], [], [0, 1], []],
    [[1, 3], [3], [0], [3]],
  ])("%j to %j", async (from, to, axes, shape) => {
    const x = randomArr(from, 63);
    const y = sumTo(toGpu(x), to);
    expect(y.shape).toEqual(shape);
    const how = { op: "sumTo", shapes: { x: from }, terms: x.data.length / y.size, scale: 1 };
    expectClose(await y.data(), reference.sum(x, { axes }).data, how);
  });

  it("returns x itself where nothing was stretched", () => {
    const x = toGpu(randomArr([2, 3], 64));
    expect(sumTo(x, [2, 3])).toBe(x);
  });
});
