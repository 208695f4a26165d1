import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { tensor, type Tensor } from "../../engine/index.ts";
import { broadcastShape, full, sizeOf, type Arr } from "../reference/array.ts";
import * as reference from "../reference/elementwise.ts";
import { checkOp } from "../support/check-op.ts";
import { randomApart } from "../support/gradient.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr, type Range } from "../support/random.ts";
import { expectClose, type Kind } from "../support/tolerance.ts";

type Op = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "pow";

interface Row {
  range: Required<Range>;
  forward: Kind[];
  /** The arithmetic of one element's gradient, by operand; summing over stretched axes comes on top. */
  gradient: { a: Kind[]; b: Kind[] };
  /** Bound of |gradient / dy|. */
  slope: { a: number; b: number };
}

const ANY = { min: -2, max: 2 };
const POSITIVE = { min: 0.5, max: 2 };
const rows: Record<Op, Row> = {
  add: { range: ANY, forward: ["add"], gradient: { a: ["exact"], b: ["exact"] }, slope: { a: 1, b: 1 } },
  sub: { range: ANY, forward: ["add"], gradient: { a: ["exact"], b: ["exact"] }, slope: { a: 1, b: 1 } },
  mul: { range: ANY, forward: ["add"], gradient: { a: ["add"], b: ["add"] }, slope: { a: 2, b: 2 } },
  div: { range: POSITIVE, forward: ["div"], gradient: { a: ["div"], b: ["div", "add", "div"] }, slope: { a: 2, b: 8 } },
  maximum: { range: ANY, forward: ["exact"], gradient: { a: ["exact"], b: ["exact"] }, slope: { a: 1, b: 1 } },
  minimum: { range: ANY, forward: ["exact"], gradient: { a: ["exact"], b: ["exact"] }, slope: { a: 1, b: 1 } },
  pow: {
    range: POSITIVE,
    forward: ["pow"],
    gradient: { a: ["pow", "add", "add"], b: ["pow", "log", "add", "add"] },
    slope: { a: 16, b: 4 },
  },
};

// Same shape; one number; a row repeated (multiples of 4, and not); stretched inside, outside, both; missing axes; ranks that don't
// merge; vec4 rows with a stretched middle axis.
const shapes: [number[], number[]][] = [
  [[1], [1]],
  [[5], [5]],
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [[3, 7], []],
  [[], [4, 3]],
  [[1], [2, 5]],
  [[2, 3, 8], [8]],
  [
    [4, 8],
    [2, 4, 8],
  ],
  [[6, 5], [5]],
  [
    [4, 1],
    [4, 3],
  ],
  [
    [4, 1],
    [1, 3],
  ],
  [
    [2, 3, 3, 4],
    [2, 1, 1, 4],
  ],
  [
    [2, 1, 4],
    [1, 3, 4],
  ],
  [
    [2, 3, 2, 3],
    [3, 1, 3],
  ],
  [
    [2, 1, 2, 1, 2, 1],
    [1, 3, 1, 2, 1, 3],
  ],
];

beforeAll(testDevice);

// Every kernel variant is a compilation: one op runs through all shapes, the others through two.
const fewShapes = [1, 10].map((i) => shapes[i]);

describe.each(Object.entries(rows) as [Op, Row][])("%s", (op, row) => {
  it.each(op === "mul" ? shapes : fewShapes)("%j with %j", async (aShape, bShape) => {
    const [a, b] = inputsOf(op, aShape, bShape, row.range);
    const size = sizeOf(broadcastShape(aShape, bShape));
    await checkOp({
      op,
      inputs: { a, b },
      run: (a, b) => ops[op](a, b),
      reference: reference[op],
      forward: { kind: row.forward },
      gradient: (name) => {
        const terms = size / (name === "a" ? a : b).data.length;
        const operand = name as "a" | "b";
        const kind = row.gradient[operand];
        return terms === 1 && kind[0] === "exact"
          ? { kind }
          : { kind: [...kind.filter((k) => k !== "exact"), "sum"], terms, scale: row.slope[operand] };
      },
    });
  });
});

/** Values away from each other for the ops with a kink where a = b. */
function inputsOf(op: Op, a: number[], b: number[], range: Required<Range>): [Arr, Arr] {
  if (op === "maximum" || op === "minimum") return randomApart([a, b], 21, { ...range, kinks: [] }) as [Arr, Arr];
  return [randomArr(a, 21, range), randomArr(b, 22, range)];
}

describe("binary ops on many elements", () => {
  it.each([
    [[37, 16, 65], [65]],
    [[37, 16, 64], [64]],
    [[40961], [40961]],
    [
      [17, 31, 68],
      [17, 1, 68],
    ],
  ])("sub %j with %j", async (aShape, bShape) => {
    const [a, b] = [randomArr(aShape, 31), randomArr(bShape, 32)];
    await checkOp({ op: "sub", inputs: { a, b }, run: ops.sub, reference: reference.sub, forward: { kind: "add" } });
  });
});

describe("numbers as operands", () => {
  const cases: [string, (x: Tensor) => Tensor, (x: Arr) => Arr][] = [
    ["x + n", (x) => x.add(1.5), (x) => reference.add(x, full([], 1.5))],
    ["n + x", (x) => ops.add(1.5, x), (x) => reference.add(x, full([], 1.5))],
    ["x - n", (x) => x.sub(1.5), (x) => reference.sub(x, full([], 1.5))],
    ["n - x", (x) => ops.sub(1.5, x), (x) => reference.sub(full([], 1.5), x)],
    ["x * n", (x) => x.mul(-3), (x) => reference.mul(x, full([], -3))],
    ["n * x", (x) => ops.mul(-3, x), (x) => reference.mul(x, full([], -3))],
    ["x / n", (x) => x.div(3), (x) => reference.div(x, full([], 3))],
    ["n / x", (x) => ops.div(3, x), (x) => reference.div(full([], 3), x)],
    ["max(x, n)", (x) => x.maximum(1.25), (x) => reference.maximum(x, full([], 1.25))],
    ["min(n, x)", (x) => ops.minimum(1.25, x), (x) => reference.minimum(x, full([], 1.25))],
    ["x ** n", (x) => x.pow(3), (x) => reference.pow(x, full([], 3))],
    ["x ** 2", (x) => x.pow(2), (x) => reference.pow(x, full([], 2))],
    ["n ** x", (x) => ops.pow(2, x), (x) => reference.pow(full([], 2), x)],
  ];
  it.each(cases)("%s", async (op, run, reference) => {
    const [x] = randomApart([[3, 5]], 41, { min: 0.5, max: 2, kinks: [1.25] }) as [Arr];
    await checkOp({
      op,
      inputs: { x },
      run,
      reference,
      forward: { kind: ["pow", "add", "div"], scale: 3 },
      gradient: { kind: ["pow", "log", "add", "div"], scale: 12 },
    });
  });

  it("are not both numbers", () => {
    expect(() => ops.add(1, 2)).toThrow("add: needs a tensor, got two numbers");
  });
});

describe("corners", () => {
  it("halves the gradient of maximum and minimum at ties", async () => {
    for (const op of [ops.maximum, ops.minimum]) {
      const a = tensor([1, 2, 3], { requiresGrad: true });
      const b = tensor([1, 2, 5], { requiresGrad: true });
      op(a, b).backward(tensor([4, 6, 8]));
      const [toA, toB] = op === ops.maximum ? [0, 8] : [8, 0];
      expect([...(await a.grad!.data())]).toEqual([2, 3, toA]);
      expect([...(await b.grad!.data())]).toEqual([2, 3, toB]);
    }
  });

  it("raises 0 to negative powers, and has the gradient of its root, as PyTorch does", async () => {
    const y = tensor([0, 0, 0]).pow(tensor([-1, -2, -0.5]));
    expect(await y.array()).toEqual([Infinity, Infinity, Infinity]);
    const x = tensor([0, 0], { requiresGrad: true });
    x.pow(tensor([0.5, 1]))
      .sum()
      .backward();
    expect(await x.grad!.array()).toEqual([Infinity, 1]);
  });

  it("raises negative numbers to whole powers, and anything to 0", async () => {
    const a = tensor([-2, -2, -2, 0, 0, 3, -1], { requiresGrad: true });
    const b = tensor([2, 3, -1, 0, 2, 0, 0], { requiresGrad: true });
    const y = a.pow(b);
    y.backward(toGpu(full([7], 1)));
    const how = { op: "pow", shapes: { a: [7] } };
    expectClose(await y.data(), [4, -8, -0.5, 1, 0, 1, 1], { ...how, kind: "pow", scale: 8, at: 3 });
    expectClose(await a.grad!.data(), [-4, 12, -0.25, 0, 0, 0, 0], { ...how, kind: ["pow", "add"], scale: 12, at: 3 });
    expectClose(await b.grad!.data(), [0, 0, 0, 0, 0, Math.log(3), 0], {
      ...how,
      kind: ["pow", "log", "add"],
      scale: 2,
    });
  });

  it.each([3, 4])("keep NaN in maximum and minimum, of %j elements", async (n) => {
    const [a, b] = [[1, NaN, 3, Infinity], [NaN, 2, -1, NaN]].map((values) => tensor(values.slice(0, n))); // prettier-ignore
    expect([...(await a.maximum(b).data())]).toEqual([NaN, NaN, 3, NaN].slice(0, n));
    expect([...(await a.minimum(b).data())]).toEqual([NaN, NaN, -1, NaN].slice(0, n));
    const strided = tensor([[1], [NaN]]).maximum(tensor([[0, 5, NaN]]));
    expect([...(await strided.data())]).toEqual([1, 5, NaN, NaN, NaN, NaN]);
  });

  it("take numbers beside halves", async () => {
    const x = tensor([1, 2, 5], { dtype: "f16", requiresGrad: true });
    for (const [y, wanted] of [
      [x.div(2), [0.5, 1, 2.5]],
      [x.maximum(2), [2, 2, 5]],
      [x.pow(3), [1, 8, 125]],
      [x.equal(2), [0, 1, 0]],
    ] as const) {
      expect([y.dtype, await y.array()]).toEqual(["f16", wanted]);
    }
    x.div(2).sum().backward();
    expect(await x.grad!.array()).toEqual([0.5, 0.5, 0.5]);
    // Numbers that are none of f16's, and quotients that would be none.
    const y = tensor([1000, 2 ** -14, 6], { dtype: "f16" });
    expect(await y.div(65536).array()).toEqual([1000 / 65536, 0, 6 / 65536]);
    expect(await ops.div(2 ** -20, y).array()).toEqual(
      await tensor([2 ** -20 / 1000, 2 ** -6, 2 ** -20 / 6])
        .to("f16")
        .array(),
    );
  });

  it("compares", async () => {
    const y = ops.equal(tensor([[1, 2, 3]]), tensor([[1], [3]]));
    expect(await y.array()).toEqual([
      [1, 0, 0],
      [0, 0, 1],
    ]);
  });

  it("handles one tensor as both operands", async () => {
    const x = tensor([1, -2, 3], { requiresGrad: true });
    x.mul(x).backward(tensor([1, 10, 100]));
    expect([...(await x.grad!.data())]).toEqual([2, -40, 600]);
  });

  it("handles tensors without elements", async () => {
    expect(await ops.add(ops.empty([0, 3]), tensor([1, 2, 3])).array()).toEqual([]);
  });

  it("refuses shapes that do not fit, and u32", () => {
    expect(() => tensor([[1, 2, 3]]).add(tensor([1, 2]))).toThrow(
      "add: shapes [1,3] and [2] do not broadcast (axis -1: 3 and 2)",
    );
    expect(() => tensor([1]).mul(ops.empty([1], "u32"))).toThrow(
      "mul: needs two f32 or two f16 tensors, got Tensor f32[1] and Tensor u32[1]; cast one",
    );
  });
});
