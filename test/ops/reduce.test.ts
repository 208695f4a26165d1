import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { tensor } from "../../engine/index.ts";
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

describe("max and min", () => {
  it("find extremes below zero and of any size", async () => {
    const rows = [
      [-3e38, -5],
      [-1e-30, -2e-30],
    ].map((row) => row.map(Math.fround));
    expect(await tensor(rows).max({ axes: 1 }).array()).toEqual([-5, rows[1][0]]);
    expect(await tensor(rows).min({ axes: 1 }).array()).toEqual([rows[0][0], rows[1][1]]);
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

describe("NaN", () => {
  it.each([[4], [3, 4], [300], [3, 5]])("is the extreme, and the first of it the position, in %j", async (...shape) => {
    const values = [...randomArr(shape, 99).data];
    values[2] = NaN;
    if (values.length > 10) values[9] = NaN;
    const x = tensor(values);
    expect([await x.max().item(), await x.min().item(), await x.argmax().item()]).toEqual([NaN, NaN, 2]);
    const [columns] = shape.slice(-1);
    const rows = x.reshape([values.length / columns, columns]);
    const hasNaN = Array.from({ length: values.length / columns }, (_, i) =>
      values.slice(i * columns, (i + 1) * columns).some(Number.isNaN),
    );
    for (const y of [rows.max({ axes: 1 }), rows.min({ axes: 1 })]) {
      expect([...(await y.data())].map(Number.isNaN)).toEqual(hasNaN);
    }
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
