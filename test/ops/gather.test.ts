import { beforeAll, describe, expect, it } from "vitest";
import { fromData, gather, scope, tensor } from "../../engine/index.ts";
import * as reference from "../reference/moves.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr, randomInts } from "../support/random.ts";

beforeAll(testDevice);

describe("gather", () => {
  it.each([
    [[5], 8, 0],
    [[5, 3], 7, 0],
    [[5, 4], 7, 0],
    [[3, 6], 4, 1],
    [[2, 5, 3, 4], 6, 1],
    [[2, 3, 4], 1, -1],
    [[300, 8], 40, 0],
  ])("%j, %j indices along %j", async (shape, count, axis) => {
    const x = randomArr(shape, 201);
    const indices = randomInts(count, 202, { min: 0, max: shape.at(axis)! });
    for (const given of [indices, fromData(indices, [count], "u32")]) {
      await checkOp({
        op: "gather",
        inputs: { x },
        run: (x) => gather(x, given, axis),
        reference: (x) => reference.gather(x, indices, axis),
        forward: { kind: "exact" },
        gradient: { kind: "sum", terms: count, scale: 1 },
      });
    }
  });

  it("sums the gradients of repeated indices and leaves 0 elsewhere", async () => {
    const x = toGpu(randomArr([4, 2], 203), { requiresGrad: true });
    const y = x.gather([2, 0, 2]);
    y.backward(tensor([1, 2, 10, 20, 100, 200]).reshape([3, 2]));
    expect(await x.grad!.array()).toEqual([
      [10, 20],
      [0, 0],
      [101, 202],
      [0, 0],
    ]);
  });

  it("moves halves, and their gradients", async () => {
    const x = tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], { dtype: "f16", requiresGrad: true }); // prettier-ignore
    const y = x.gather([2, 0, 2]);
    expect([y.dtype, await y.array()]).toEqual(["f16", [[9, 10, 11, 12], [1, 2, 3, 4], [9, 10, 11, 12]]]); // prettier-ignore
    y.backward(tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], { dtype: "f16" })); // prettier-ignore
    expect([x.grad!.dtype, await x.grad!.array()]).toEqual(["f16", [[5, 6, 7, 8], [0, 0, 0, 0], [10, 12, 14, 16]]]); // prettier-ignore
  });

  it("runs more than 65,535 workgroups", async () => {
    const indices = Uint32Array.from({ length: 65_536 * 64 + 5 }, (_, i) => i % 7);
    const got = await scope(() =>
      gather(toGpu(randomArr([7], 204)), fromData(indices, [indices.length], "u32")),
    ).data();
    const want = randomArr([7], 204).data;
    expect(got.findIndex((value, i) => value !== want[i % 7])).toBe(-1);
  });

  it("moves u32 unchanged", async () => {
    const x = fromData([7, 0xfffffffe, 0x7fc00001], [3], "u32");
    expect(await gather(x, [2, 1]).array()).toEqual([0x7fc00001, 0xfffffffe]);
  });

  it("refuses host indices out of range, and clamps those on the GPU", async () => {
    const x = tensor([1, 2, 3]);
    expect(() => gather(x, [0, 3])).toThrow("gather: index 3 (at 1) is not in 0..2");
    expect(() => gather(x, [-1])).toThrow("gather: index -1 (at 0) is not in 0..2");
    expect(() => gather(x, [0.5])).toThrow("gather: index 0.5");
    expect(() => gather(x, tensor([0]))).toThrow("gather: indices must be u32 [M], got Tensor f32[1]");
    expect(await gather(x, fromData([1, 99], [2], "u32")).array()).toEqual([2, 3]);
  });
});
