import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { fromData, scope, tensor, type Tensor } from "../../engine/index.ts";
import { map, type Arr } from "../reference/array.ts";
import * as reference from "../reference/reduce.ts";
import { checkOp } from "../support/check-op.ts";
import { randomApart } from "../support/gradient.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr, randomInts } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

const min = (x: Arr, options: reference.ReduceOptions): Arr =>
  map(
    reference.max(
      map(x, (v) => -v),
      options,
    ),
    (v) => -v,
  );

// All axes; last; first; middle; two groups; three groups; extents of 1; vec4 and odd inner extents; a negative axis.
const cases: [number[], number[] | undefined][] = [
  [[], undefined],
  [[1], [0]],
  [[7], [0]],
  [[2, 3, 4], undefined],
  [[5, 3], [1]],
  [[5, 3], [0]],
  [[5, 8], [0]],
  [
    [2, 3, 5, 4],
    [1, 2],
  ],
  [
    [3, 2, 5, 3],
    [0, 1, 2],
  ],
  [
    [3, 4, 5],
    [0, 2],
  ],
  [
    [2, 3, 2, 3, 2],
    [0, 2, 4],
  ],
  [
    [3, 1, 4],
    [1, -1],
  ],
  [[3, 1, 4], [1]],
  [[3, 68], [1]],
];

describe.each(["sum", "mean", "max", "min", "variance"] as const)("%s", (op) => {
  it.each(cases)("of %j over %j", async (shape, axes) => {
    const [x] = randomApart([shape], 51, { min: -2, max: 2, kinks: [] }) as [Arr];
    const options = axes ? { axes } : {};
    const counts = reference.sum(
      map(x, () => 1),
      options,
    );
    const terms = counts.data[0];
    const correction = terms > 1 ? 1 : 0;
    const f = op === "min" ? min : op === "variance" ? variance(correction) : reference[op];
    for (const keepDims of [false, true]) {
      await checkOp({
        op,
        inputs: { x },
        run: (x) => ops[op](x, { ...options, keepDims, ...(op === "variance" ? { correction } : {}) }),
        reference: (x) => f(x, { ...options, keepDims }),
        forward:
          op === "max" || op === "min"
            ? { kind: "exact" }
            : { kind: ["sum", "add", "add"], terms, scale: op === "sum" ? 2 : 4 },
        ...(keepDims
          ? {}
          : {
              gradient:
                op === "sum" ? { kind: "exact" } : { kind: ["sum", "add", "add", "add", "div"], terms, scale: 4 },
            }),
      });
    }
  });
});

const variance =
  (correction: number) =>
  (x: Arr, options: reference.ReduceOptions): Arr =>
    reference.variance(x, { ...options, correction });

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

describe("max and min", () => {
  it("find extremes below zero and of any size", async () => {
    const x = tensor([
      [-3e38, -5],
      [-1e-30, -2e-30],
    ]);
    expectClose(await x.max({ axes: 1 }).data(), [-5, Math.fround(-2e-30)], { op: "max", shapes: {}, kind: "exact" });
    expectClose(await x.min({ axes: 1 }).data(), [-3e38, -1e-30].map(Math.fround), {
      op: "min",
      shapes: {},
      kind: "exact",
    });
  });

  it("share the gradient evenly among ties, as amax does", async () => {
    const x = tensor(
      [
        [3, 1, 3, 3],
        [0, 2, 2, 1],
      ],
      { requiresGrad: true },
    );
    x.max({ axes: 1 }).backward(tensor([6, 10]));
    expect(await x.grad!.array()).toEqual([
      [2, 0, 2, 2],
      [0, 5, 5, 0],
    ]);
  });
});

describe("variance", () => {
  it("keeps its digits far from zero", async () => {
    const x = map(randomArr([4, 300], 71), (v) => Math.fround(v + 1000));
    const want = reference.variance(x, { axes: [1] });
    const got = toGpu(x).variance({ axes: 1 });
    // Each deviation is off by half an ulp of 1000 at most.
    expectClose(await got.data(), want, { op: "variance", shapes: { x: x.shape }, terms: 1, scale: 1000 * 2 });
    expect(await got.data()).not.toContain(0);
  });

  it("takes the biased form with correction 0", async () => {
    const x = randomArr([6, 5], 72);
    const want = reference.variance(x, { axes: [0], correction: 0 });
    expectClose(await toGpu(x).variance({ axes: 0, correction: 0 }).data(), want, {
      op: "variance",
      shapes: {},
      terms: 6,
      scale: 1,
    });
  });

  it("refuses too few elements", () => {
    expect(() => tensor([1]).variance()).toThrow(
      "variance: axes [0] of [1] hold 1 elements, needs more than the correction 1",
    );
  });
});

describe("argmax", () => {
  it.each([
    [[7], 0],
    [[5, 10], 1],
    [[5, 10], 0],
    [[3, 4, 5], 1],
    [[3, 4, 5], -1],
    [[2, 3], undefined],
    [[1, 1], 1],
  ])("of %j along %j", async (shape, axis) => {
    // Few distinct values: many ties, of which the first counts.
    const x: Arr = {
      shape,
      data: Float64Array.from(
        randomInts(
          shape.reduce((p, n) => p * n, 1),
          81,
          { min: -3, max: 3 },
        ),
      ),
    };
    const want = reference.argmax(x, axis === undefined ? {} : { axes: [axis] });
    const y = toGpu(x).argmax(axis);
    expect(y.dtype).toBe("u32");
    expect(y.shape).toEqual(want.shape);
    expect([...(await y.data())]).toEqual([...want.data]);
  });

  it("keeps the axis on request", () => {
    expect(tensor([[1, 2]]).argmax(1, { keepDims: true }).shape).toEqual([1, 1]);
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

describe("errors and empty tensors", () => {
  it("name the op", () => {
    const x = tensor([[1, 2]]);
    expect(() => x.sum({ axes: 2 })).toThrow("sum: axis 2 is out of range for 2 dimensions (-2 to 1)");
    expect(() => ops.max(ops.empty([2, 0]))).toThrow("max: [2,0] has no elements");
    expect(() => ops.mean(ops.empty([0]))).toThrow("mean: [0] has no elements");
    expect(() => ops.sum(ops.empty([2], "u32"))).toThrow("sum: needs an f32 tensor, got Tensor u32[2]");
    expect(() => ops.argmax(ops.empty([2], "u32"), 0)).toThrow("argmax: needs an f32 tensor");
  });

  it("an empty sum is 0", async () => {
    expect(await ops.sum(ops.empty([2, 0]), { axes: 1 }).array()).toEqual([0, 0]);
  });
});
