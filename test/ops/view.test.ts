import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { fromData, tensor } from "../../engine/index.ts";
import { broadcastStrides, build, offsetOf, sizeOf, type Arr } from "../reference/array.ts";
import * as reference from "../reference/moves.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";

const EXACT = { forward: { kind: "exact" }, gradient: { kind: "exact" } } as const;

beforeAll(testDevice);

describe("reshape", () => {
  it.each([
    [
      [2, 6],
      [3, 4],
      [3, 4],
    ],
    [[2, 6], [-1], [12]],
    [[4], [2, -1, 2], [2, 1, 2]],
    [[1], [], []],
  ])("%j to %j", async (from, to, shape) => {
    const x = randomArr(from, 101);
    await checkOp({
      op: "reshape",
      inputs: { x },
      run: (x) => x.reshape(to),
      reference: (x) => reference.reshape(x, shape),
      ...EXACT,
    });
  });

  it("shares the storage", async () => {
    const device = await testDevice();
    const x = tensor([1, 2, 3, 4]);
    const before = device.memory().tensors;
    const y = x.reshape([2, 2]);
    expect(device.memory().tensors).toBe(before);
    x.write([5, 6, 7, 8]);
    x.dispose();
    expect(await y.array()).toEqual([
      [5, 6],
      [7, 8],
    ]);
    y.dispose();
    expect(device.memory().tensors).toBe(before - 1);
  });

  it("refuses other sizes", () => {
    const x = tensor([1, 2, 3, 4]);
    expect(() => x.reshape([3, -1])).toThrow("reshape: [4] has 4 elements and cannot become [3,-1]");
    expect(() => x.reshape([-1, -1])).toThrow("reshape: [4] has 4 elements and cannot become [-1,-1]");
    expect(() => x.reshape([5])).toThrow("reshape");
  });
});

describe("permute", () => {
  it.each([
    [
      [3, 5],
      [1, 0],
    ],
    [
      [4, 8],
      [1, 0],
    ],
    [
      [2, 3, 5, 7],
      [0, 3, 1, 2],
    ],
    [
      [2, 3, 5, 8],
      [2, 0, 1, 3],
    ],
    [
      [2, 8, 3, 5],
      [0, 2, 3, 1],
    ],
    [
      [2, 3, 4],
      [0, 1, 2],
    ],
    [
      [2, 3, 2, 3, 2, 2],
      [5, 3, 1, 4, 2, 0],
    ],
    [
      [3, 1, 2],
      [-1, 0, 1],
    ],
    [
      [70, 33],
      [1, 0],
    ],
  ])("%j by %j", async (shape, order) => {
    const x = randomArr(shape, 111);
    const axes = order.map((axis) => (axis < 0 ? axis + shape.length : axis));
    await checkOp({
      op: "permute",
      inputs: { x },
      run: (x) => x.permute(order),
      reference: (x) => reference.permute(x, axes),
      ...EXACT,
    });
  });

  it("reverses the axes by default", () => {
    expect(tensor([[1, 2, 3]]).permute().shape).toEqual([3, 1]);
  });

  it("refuses an order that is none", () => {
    expect(() => tensor([[1, 2]]).permute([0, 0])).toThrow("permute: order [0,0] must name each axis of [1,2] once");
    expect(() => tensor([[1, 2]]).permute([0])).toThrow("permute: order [0]");
  });

  it("moves u32 unchanged, and refuses more axes than it can walk", async () => {
    const x = fromData([0xffffffff, 1, 2, 0x7fc00001], [2, 2], "u32");
    expect(await x.permute().array()).toEqual([
      [0xffffffff, 2],
      [1, 0x7fc00001],
    ]);
    const many = ops.zeros(new Array<number>(9).fill(2));
    expect(() => many.permute()).toThrow("more than 8 axes that cannot be merged");
  });
});

describe("broadcastTo", () => {
  it.each([
    [[3], [2, 3]],
    [
      [2, 1, 4],
      [2, 3, 4],
    ],
    [[], [5]],
    [
      [2, 1],
      [3, 2, 5],
    ],
  ])("%j to %j", async (from, to) => {
    const x = randomArr(from, 151);
    const want = (x: Arr): Arr => build(to, (index) => x.data[offsetOf(index, broadcastStrides(x.shape, to))]);
    const gradient = { kind: "sum", terms: sizeOf(to) / sizeOf(from), scale: 1 } as const;
    await checkOp({
      op: "broadcastTo",
      inputs: { x },
      run: (x) => x.broadcastTo(to),
      reference: want,
      forward: { kind: "exact" },
      gradient,
    });
  });

  it("refuses what does not fit", () => {
    expect(() => tensor([1, 2]).broadcastTo([3])).toThrow("broadcastTo: [2] does not broadcast to [3]");
    expect(() => tensor([[1], [2]]).broadcastTo([2])).toThrow("broadcastTo: [2,1] does not broadcast to [2]");
  });
});
