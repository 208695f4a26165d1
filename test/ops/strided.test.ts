import { beforeAll, describe, expect, it } from "vitest";
import { empty, full } from "../../engine/index.ts";
import { collapse, copyBlock, inVectors, packAxes, stretchedStrides } from "../../engine/ops/strided.ts";
import { offsetOf, sizeOf, unravel } from "../reference/array.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr, randomInts } from "../support/random.ts";

beforeAll(testDevice);

describe("collapse", () => {
  it("merges what is contiguous in all tensors", () => {
    const block = {
      shape: [2, 3, 4],
      strides: [
        [12, 4, 1],
        [12, 4, 1],
      ],
    };
    expect(collapse("op", block)).toEqual({ shape: [24], strides: [[1], [1]] });
  });

  it("keeps apart what one tensor separates, and merges stretched axes", () => {
    const block = {
      shape: [2, 3, 1, 4],
      strides: [
        [12, 4, 4, 1],
        [0, 0, 4, 1],
      ],
    };
    expect(collapse("op", block)).toEqual({
      shape: [6, 4],
      strides: [
        [4, 1],
        [0, 1],
      ],
    });
  });

  it("visits the same offsets in the same order", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const shape = randomInts(5, seed, { min: 1, max: 4 });
      const own = stretchedStrides(
        shape.map((n, i) => (randomInts(5, seed + 100, { min: 0, max: 2 })[i] ? n : 1)),
        shape,
      );
      const strides = [own, stretchedStrides(shape, shape)];
      const small = collapse("op", { shape, strides });
      expect(sizeOf(small.shape)).toBe(sizeOf(shape));
      for (let i = 0; i < sizeOf(shape); i++) {
        for (const which of [0, 1]) {
          const want = offsetOf(unravel(i, shape), strides[which]);
          expect(offsetOf(unravel(i, small.shape), small.strides[which])).toBe(want);
        }
      }
    }
  });
});

describe("inVectors", () => {
  it("counts in fours where rows allow it", () => {
    expect(
      inVectors({
        shape: [3, 8],
        strides: [
          [16, 1],
          [0, 1],
        ],
      }),
    ).toEqual({
      shape: [3, 2],
      strides: [
        [4, 1],
        [0, 1],
      ],
    });
  });

  it.each([
    [{ shape: [3, 6], strides: [[8, 1]] }],
    [{ shape: [3, 8], strides: [[10, 1]] }],
    [{ shape: [3, 8], strides: [[16, 2]] }],
    [{ shape: [3, 8], strides: [[8, 0]] }],
    [{ shape: [], strides: [[]] }],
  ])("is null for %j", (block) => {
    expect(inVectors(block)).toBeNull();
  });
});

describe("copyBlock", () => {
  // Vectors, and what forbids them: an odd offset of x, of y, an odd row.
  it.each([
    [[3, 8], 4, 8],
    [[3, 8], 3, 8],
    [[3, 8], 4, 6],
    [[3, 7], 4, 8],
  ])("moves %j from offset %j to offset %j and nothing else", async (shape, from, to) => {
    const x = randomArr([200], 501);
    const y = full([200], -9);
    copyBlock(
      "op",
      shape,
      { tensor: toGpu(x), strides: [20, 1], offset: from },
      { tensor: y, strides: [32, 1], offset: to },
    );
    const want = new Float64Array(200).fill(-9);
    for (let i = 0; i < sizeOf(shape); i++) {
      const index = unravel(i, shape);
      want[to + offsetOf(index, [32, 1])] = x.data[from + offsetOf(index, [20, 1])];
    }
    expect([...(await y.data())]).toEqual([...want]);
  });

  it("does nothing for an empty block", () => {
    const tensor = empty([0]);
    expect(() => copyBlock("op", [0, 3], { tensor, strides: [3, 1] }, { tensor, strides: [3, 1] })).not.toThrow();
  });
});

it("packAxes puts each axis' extent beside its strides", () => {
  const block = {
    shape: [5, 4],
    strides: [
      [4, 1],
      [0, 1],
    ],
  };
  expect(packAxes(block)).toEqual([5, 4, 0, 0, 4, 1, 1, 0]);
});
