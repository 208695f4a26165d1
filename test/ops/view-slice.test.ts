// Ops that take parts of tensors or put them together: slice, concat and pad. The others of view.ts: view.test.ts.
import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { fromData, scope, tensor, type SliceRange, type Tensor } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/moves.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

const EXACT = { forward: { kind: "exact" }, gradient: { kind: "exact" } } as const;

beforeAll(testDevice);

describe("slice", () => {
  it.each<[number[], (SliceRange | null)[]]>([
    [[7], [{ start: 2 }]],
    [[7], [{ start: -3, end: -1 }]],
    [[9], [{ start: 1, step: 3 }]],
    [
      [3, 8],
      [null, { start: 4 }],
    ],
    [
      [4, 6, 5],
      [{ end: 2 }, { start: 1, end: 6, step: 2 }],
    ],
    [
      [2, 5, 5, 8],
      [null, { start: 1, end: 4 }, { start: 2 }],
    ],
    [
      [3, 4],
      [{ end: 100 }, { start: -100 }],
    ],
    [
      [2, 16],
      [null, { start: 2, end: 14 }],
    ],
  ])("%j %j", async (shape, ranges) => {
    const x = randomArr(shape, 121);
    const all = shape.map((_, axis) => ranges[axis] ?? {});
    const [starts, ends, steps] = [
      all.map((r) => r.start ?? 0),
      all.map((r, i) => r.end ?? shape[i]),
      all.map((r) => r.step ?? 1),
    ];
    const want = (x: Arr): Arr => reference.slice(x, starts, ends, steps);
    await checkOp({ op: "slice", inputs: { x }, run: (x) => x.slice(ranges), reference: want, ...EXACT });
  });

  it("may be empty", async () => {
    const y = tensor([1, 2, 3]).slice([{ start: 3 }]);
    expect(y.shape).toEqual([0]);
    expect(await y.array()).toEqual([]);
  });

  it("refuses what it does not know", () => {
    const x = tensor([1, 2, 3]);
    expect(() => x.slice([{ step: -1 }])).toThrow(
      "slice: start 0, end 3 and step -1 must be whole numbers, the step at least 1",
    );
    expect(() => x.slice([null, null])).toThrow("slice: 2 ranges for [3]");
  });

  it("runs more than 65,535 workgroups", async () => {
    const size = 65_535 * 256 + 300;
    const y = scope(() =>
      fromData(
        Float32Array.from({ length: size + 1 }, (_, i) => i % 65_521),
        [size + 1],
      ).slice([{ start: 1 }]),
    );
    const got = await y.data();
    y.dispose();
    expect(got.findIndex((v, i) => v !== (i + 1) % 65_521)).toBe(-1);
  });
});

describe("concat", () => {
  it.each<[number[][], number]>([
    [[[3], [4], [1]], 0],
    [
      [
        [2, 3],
        [2, 5],
      ],
      1,
    ],
    [
      [
        [2, 4],
        [2, 8],
      ],
      -1,
    ],
    [
      [
        [2, 3, 4],
        [2, 1, 4],
      ],
      1,
    ],
    [
      [
        [2, 2],
        [0, 2],
        [1, 2],
      ],
      0,
    ],
    [[[2, 3]], 0],
  ])("%j along %j", async (shapes, axis) => {
    const inputs = Object.fromEntries(shapes.map((shape, i) => [`x${i}`, randomArr(shape, 131 + i)]));
    const run = (...xs: Tensor[]): Tensor => ops.concat(xs, axis);
    await checkOp({ op: "concat", inputs, run, reference: (...xs) => reference.concat(xs, axis), ...EXACT });
  });

  it("takes one tensor twice", async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    ops.concat([x, x]).backward(tensor([1, 2, 30, 40]));
    expect(await x.grad!.array()).toEqual([31, 42]);
  });

  it("refuses shapes and types that do not fit", () => {
    const [a, b] = [tensor([[1, 2]]), tensor([[1, 2, 3]])];
    expect(() => ops.concat([a, b])).toThrow("concat: f32[1,3] does not fit to Tensor f32[1,2] along axis 0");
    expect(() => ops.concat([a, ops.zeros([1, 2], "u32")])).toThrow("concat: u32[1,2] does not fit");
    expect(() => ops.concat([])).toThrow("concat: needs at least one tensor");
  });
});

describe("pad", () => {
  it.each<[number[], [number, number][], number]>([
    [[3], [[1, 2]], 0],
    [
      [2, 3],
      [
        [0, 0],
        [2, 1],
      ],
      -1.5,
    ],
    [
      [2, 3, 3, 4],
      [
        [0, 0],
        [1, 1],
        [1, 1],
      ],
      0,
    ],
    [
      [2, 4],
      [
        [1, 0],
        [4, 8],
      ],
      3,
    ],
    [[2, 3], [], 0],
    // The ends of rows that then divide by four: channels, an axis before them, the first axis.
    [
      [5, 7, 3],
      [
        [0, 0],
        [0, 0],
        [0, 1],
      ],
      -2.5,
    ],
    [
      [67, 10],
      [
        [0, 0],
        [0, 6],
      ],
      0,
    ],
    [
      [3, 5, 6],
      [
        [0, 0],
        [0, 3],
      ],
      7,
    ],
    [[3, 4], [[0, 2]], 0],
  ])("%j by %j with %j", async (shape, amounts, value) => {
    const x = randomArr(shape, 141);
    const all = shape.map((_, axis) => amounts[axis] ?? ([0, 0] as const));
    const want = (x: Arr): Arr => reference.pad(x, all, value);
    await checkOp({ op: "pad", inputs: { x }, run: (x) => x.pad(amounts, value), reference: want, ...EXACT });
  });

  it("refuses negative amounts", () => {
    expect(() => tensor([1]).pad([[-1, 0]])).toThrow("pad: [[-1,0]] must be at most 1 pairs of whole numbers >= 0");
  });
});
