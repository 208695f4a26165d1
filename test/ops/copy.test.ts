import { beforeAll, describe, expect, it } from "vitest";
import * as ops from "../../engine/index.ts";
import { map } from "../reference/array.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

describe("copies in place", () => {
  it.each([1, 4, 7, 5000])("fill, copyInto and lerpInto on %j elements", async (n) => {
    const source = randomArr([n], 161);
    const target = ops.full([n], 1.5);
    expect([...(await target.data())]).toEqual(new Array(n).fill(1.5));
    ops.lerpInto(target, toGpu(source), 0.3);
    const wanted = map(source, (v) => 1.5 + (v - 1.5) * 0.3);
    expectClose(await target.data(), wanted, { op: "lerpInto", shapes: { source: [n] }, terms: 3, scale: 2 });
    ops.lerpInto(ops.fill(target, 1e8), toGpu(source), 1);
    expect([...(await target.data())]).toEqual([...source.data]);
    ops.fill(target, 3);
    ops.copyInto(target, toGpu(source));
    expect([...(await target.data())]).toEqual([...source.data]);
    expect([...(await ops.fill(target, -2).data())]).toEqual(new Array(n).fill(-2));
  });

  it("write into parts of a flat tensor and leave the rest", async () => {
    const flat = ops.zeros([192]);
    ops.copyInto(flat.range(64, [5, 2]), toGpu(randomArr([10], 171, { min: 1, max: 2 })));
    ops.lerpInto(flat.range(128, [4]), ops.full([4], 2), 0.5);
    const got = await flat.data();
    expect([...got.slice(0, 64), ...got.slice(76, 128), ...got.slice(132)].every((v) => v === 0)).toBe(true);
    expect([...got.slice(64, 74)].every((v) => v >= 1)).toBe(true);
    expect([...got.slice(128, 132)]).toEqual([1, 1, 1, 1]);
  });

  it("keep whole numbers exact", async () => {
    const x = ops.full([3], 4294967295, "u32");
    expect(await ops.copyInto(ops.zeros([3], "u32"), x).array()).toEqual([4294967295, 4294967295, 4294967295]);
    expect(await ops.ones([2], "u32").array()).toEqual([1, 1]);
  });

  it.each([1, 2, 6, 9, 4100])("fill and copy %j halves", async (n) => {
    const x = ops.full([n], 2.5, "f16");
    expect(await x.data()).toEqual(new Float32Array(n).fill(2.5));
    expect(await ops.copyInto(ops.ones([n], "f16"), x).data()).toEqual(new Float32Array(n).fill(2.5));
    expect(await ops.ones([n], "f16").data()).toEqual(new Float32Array(n).fill(1));
  });

  it("refuse other sizes, types, and themselves", () => {
    const x = ops.zeros([4]);
    expect(() => ops.copyInto(x, ops.zeros([3]))).toThrow("copyInto: Tensor f32[4] has 4 elements, Tensor f32[3] 3");
    expect(() => ops.copyInto(x, ops.zeros([4], "u32"))).toThrow("copyInto: Tensor f32[4] cannot take Tensor u32[4]");
    expect(() => ops.lerpInto(x, x.view([2, 2]), 0.5)).toThrow(
      "lerpInto: target and source share a storage; copy the source first",
    );
    expect(() => ops.lerpInto(x, ops.ones([4]), 1.5)).toThrow("lerpInto: share must be 0 to 1, got 1.5");
  });
});
