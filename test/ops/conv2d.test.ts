import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, scope } from "../../engine/index.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily, withVariant } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

/** 32 places and 4 LANES columns to a tile. */
const cases: Case[] = [
  { x: [1, 1, 1, 1], weight: [1, 1, 1, 1] },
  { x: [2, 5, 4, 3], weight: [3, 3, 3, 10], options: { padding: 1 } }, // neither C nor K divides by 4
  { x: [1, 1, 31, 4], weight: [1, 1, 4, 4] }, // tile - 1 places
  { x: [1, 1, 32, 8], weight: [1, 1, 8, 16] }, // a tile of places, half of its columns
  { x: [1, 33, 1, 4], weight: [1, 1, 4, 20] }, // tile + 1 places, 5 vec4s of columns
  { x: [2, 6, 5, 16], weight: [3, 3, 16, 16], options: { padding: 1 } },
  { x: [1, 8, 8, 8], weight: [3, 3, 8, 32], options: { padding: 1 } },
  { x: [1, 8, 8, 32], weight: [3, 3, 32, 64], options: { stride: 2, padding: 1 } },
  { x: [1, 9, 7, 4], weight: [3, 3, 4, 96], options: { stride: 2, padding: 1 } },
  { x: [3, 7, 7, 12], weight: [1, 1, 12, 8], options: { stride: 2 } }, // pixels that no window sees
  { x: [1, 10, 11, 4], weight: [2, 2, 4, 8], options: { stride: 3 } }, // gaps between the windows
  { x: [1, 15, 14, 3], weight: [7, 7, 3, 8], options: { stride: 2, padding: 3 } }, // ImageNet's stem
  { x: [1, 9, 10, 4], weight: [3, 3, 4, 8], options: { dilation: 2, padding: 2 } },
  { x: [2, 9, 10, 5], weight: [3, 3, 5, 6], options: { dilation: 2, stride: 2, padding: 1 } },
  { x: [1, 9, 10, 4], weight: [3, 2, 4, 4], options: { dilation: [3, 2], stride: [2, 3] } },
  { x: [2, 6, 9, 4], weight: [1, 5, 4, 12], options: { padding: [0, 2] } },
  { x: [1, 8, 7, 8], weight: [5, 1, 8, 4], options: { stride: [1, 2], padding: [2, 0] } },
  { x: [1, 3, 4, 4], weight: [3, 3, 4, 4], options: { padding: 4 } }, // windows that see nothing but padding
  { x: [1, 2, 2, 4], weight: [3, 3, 4, 8], options: { stride: 3, padding: 2 } },
  { x: [2, 2, 2, 8], weight: [4, 4, 8, 36], options: { padding: 2 } }, // a window larger than the image
  { x: [5, 4, 4, 4], weight: [3, 3, 4, 68], options: { padding: 1 } },
  { x: [1, 13, 13, 300], weight: [3, 3, 300, 160], options: { stride: 2, padding: 1 } }, // the cache holds the weights of three of five tiles
  // Rows of 8 places and 16 columns, 8 rows to a tile.
  { x: [1, 3, 8, 4], weight: [3, 3, 4, 16], options: { padding: 1 } }, // a stem of 16 columns; fewer rows than a tile
  { x: [3, 5, 16, 20], weight: [3, 3, 20, 28], options: { padding: 1 } }, // two pieces a row, a last tile of 6, 7 vec4s of columns
  { x: [2, 4, 7, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // pieces with one place missing
  { x: [1, 6, 10, 16], weight: [3, 3, 16, 12] }, // no padding forward, 2 backward
  { x: [1, 5, 6, 16], weight: [3, 3, 16, 16], options: { padding: 2 } }, // the other way round
  { x: [1, 9, 8, 512], weight: [3, 3, 512, 64], options: { padding: 1 } }, // the cache holds the weights of three of four tiles of columns
  // Rows of 4 places, two of them to a lane.
  { x: [5, 4, 4, 16], weight: [3, 3, 16, 32], options: { padding: 1 } }, // 10 pairs of rows
  { x: [3, 6, 12, 20], weight: [3, 3, 20, 12], options: { padding: 1 } }, // three pieces a row
  { x: [2, 3, 4, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // half of the last pair
  { x: [1, 6, 11, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // pieces with one place missing
  { x: [1, 6, 6, 16], weight: [3, 3, 16, 16] },
  // Weight gradients by rows with a stride of 2.
  { x: [1, 7, 9, 64], weight: [3, 3, 64, 68], options: { stride: 2, padding: 1 } }, // 5 dy pixels a row; a fifth tile of one vec4
  { x: [2, 6, 12, 64], weight: [3, 3, 64, 64], options: { stride: 2 } }, // an even image: its last pixel is seen by no window
  { x: [1, 5, 6, 68], weight: [3, 3, 68, 64], options: { stride: 2, padding: 2 } },
];

describe.each(cases)("x $x weight $weight $options", (shape) => {
  it("subgroup", async (context) => {
    needsSubgroupTiles(context);
    await checkConv2d(shape, "subgroup");
  });
  it("portable", () => checkConv2d(shape, "portable"));
});

// Where it was measured to be the faster one.
describe("32 columns a lane", () => {
  it.for<[op: string, shape: Case]>([
    ["conv2d.rows", { x: [1, 4, 8, 32], weight: [3, 3, 32, 64], options: { padding: 1 } }], // two tiles
    ["conv2d.rows", { x: [3, 5, 16, 20], weight: [3, 3, 20, 28], options: { padding: 1 } }], // 7 of 8 vec4s
    ["conv2d.rows", { x: [3, 4, 4, 16], weight: [3, 3, 16, 64], options: { padding: 1 } }], // rows of 4
    ["conv2d.weightRows", { x: [1, 4, 8, 32], weight: [3, 3, 32, 64], options: { padding: 1 } }],
    ["conv2d.weightRows", { x: [1, 7, 9, 64], weight: [3, 3, 64, 88], options: { stride: 2, padding: 1 } }], // a third tile of 6 vec4s
    ["conv2d.weightRows", { x: [2, 6, 12, 64], weight: [3, 3, 64, 64], options: { stride: 2 } }],
  ])("%s, $1.x, $1.weight $1.options", async ([op, shape], context) => {
    needsSubgroupTiles(context);
    await withVariant(op, "32", () => checkConv2d(shape, "subgroup"));
    if (op === "conv2d.rows") await withVariant(op, "32", () => checkStats(shape, "subgroup"));
  });
});

describe("batch norm's partial sums", () => {
  it.for<Case>([
    { x: [1, 4, 8, 8], weight: [1, 1, 8, 16] }, // one whole tile of 32 places
    { x: [3, 5, 5, 4], weight: [3, 3, 4, 8], options: { padding: 1 } }, // 75 places: the last tile is partial
    { x: [2, 9, 9, 3], weight: [3, 3, 3, 64], options: { stride: 2, padding: 1 } }, // channels padded from 3
    { x: [1, 1, 33, 4], weight: [1, 1, 4, 100] }, // a last tile of one place: no deviations
    { x: [1, 8, 8, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // one whole tile of rows
    { x: [3, 3, 16, 4], weight: [3, 3, 4, 16], options: { padding: 1 } }, // 18 pieces of rows: the last tile has 2
    { x: [1, 9, 8, 16], weight: [3, 3, 16, 28], options: { padding: 1 } }, // 9 pieces; 7 of 8 vec4s of columns
    { x: [5, 4, 4, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // 10 pairs of rows of 4: the last tile has 2
  ])("x $x weight $weight $options", async (shape, context) => {
    needsSubgroupTiles(context);
    await checkStats(shape, "subgroup");
  });

  it("are left to batch norm where the output's channels are rearranged", () => {
    const run = (weight: number[], groups: number) =>
      conv2d(toGpu(randomArr([1, 4, 4, 4], 1)), toGpu(randomArr(weight, 2)), { groups, stats: true });
    expect(run([3, 3, 4, 6], 1).partials).toBeNull();
    expect(run([3, 3, 2, 8], 2).partials).toBeNull();
    expect(run([3, 3, 4, 6], 1).y.shape).toEqual([1, 2, 2, 6]);
    const rowsOf7 = conv2d(toGpu(randomArr([2, 4, 9, 16], 1)), toGpu(randomArr([3, 3, 16, 16], 2)), { stats: true });
    expect(rowsOf7.partials).toBeNull();
  });

  it("have gradients as conv2d", async () => {
    const gradients = async (stats: boolean) => {
      const x = toGpu(randomArr([2, 5, 5, 3], 1), { requiresGrad: true });
      const weight = toGpu(randomArr([3, 3, 3, 8], 2), { requiresGrad: true });
      const y = stats ? conv2d(x, weight, { stats: true }).y : conv2d(x, weight);
      y.backward(toGpu(randomArr(y.shape, 3)));
      return [await x.grad!.data(), await weight.grad!.data()];
    };
    expect(await gradients(true)).toEqual(await gradients(false));
  });
});

// Half of the lanes of wider subgroups stay idle then, which changes nothing: so these tiles run on any adapter that has the others.
describe("subgroups of 4 lanes", () => {
  it.for<Case>([
    { x: [1, 3, 5, 4], weight: [1, 1, 4, 8] }, // tile - 1 places, half of a tile's columns
    { x: [1, 1, 17, 8], weight: [1, 1, 8, 16] }, // tile + 1 places, a tile's columns
    { x: [2, 3, 8, 16], weight: [3, 3, 16, 28], options: { padding: 1 } }, // rows
    { x: [2, 7, 6, 8], weight: [3, 3, 8, 36], options: { stride: 2, padding: 1 } }, // two vec4s of columns a lane in the weight gradient
  ])("x $x weight $weight $options", async (shape, context) => {
    needsSubgroupTiles(context);
    const info = currentDevice().info as { subgroupSize: number };
    const before = info.subgroupSize;
    info.subgroupSize = 4;
    try {
      await checkConv2d(shape, "subgroup");
      await checkStats(shape, "subgroup");
    } finally {
      info.subgroupSize = before;
    }
  });
});

// Padding is loaded from where the first pixel lies, and must not be a product of it: zero times infinity is none.
describe("an infinite first pixel stays with the windows that see it", () => {
  const cases: Case[] = [
    { x: [2, 5, 6, 8], weight: [3, 3, 8, 16], options: { padding: 1 } }, // tiles
    { x: [2, 5, 6, 8], weight: [3, 3, 8, 16], options: { stride: 2, padding: 1 } },
    { x: [2, 4, 8, 16], weight: [3, 3, 16, 16], options: { padding: 1 } }, // rows
    { x: [2, 4, 4, 16], weight: [3, 3, 16, 32], options: { padding: 1 } }, // rows of 4 places
    { x: [2, 4, 8, 32], weight: [3, 3, 32, 64], options: { padding: 1 } }, // rows in the weight gradient
  ];
  const checkInfinite = async ({ x: xShape, weight: weightShape, options }: Case, family: "subgroup" | "portable") => {
    /** `first`: of every channel of the first pixel, of x or of x and dy. */
    const passes = async (first: number, ofDy: boolean) => {
      const values = randomArr(xShape, 1);
      values.data.fill(first, 0, xShape[3]);
      const x = toGpu(values, { requiresGrad: true });
      const weight = toGpu(randomArr(weightShape, 2), { requiresGrad: true });
      const y = conv2d(x, weight, options);
      const dy = randomArr(y.shape, 3);
      if (ofDy) dy.data.fill(first, 0, weightShape[3]);
      y.backward(toGpu(dy));
      return { y: await y.data(), dx: await x.grad!.data(), dweight: await weight.grad!.data() };
    };
    const both = (ofDy: boolean) =>
      withFamily(family, async () => [await passes(Infinity, ofDy), await passes(1, ofDy)]);
    const [infinite, finite] = await both(true);
    for (const name of ["y", "dx"] as const) {
      const second = infinite[name].length / 2; // the second image knows nothing of it
      expect(infinite[name].slice(second), name).toEqual(finite[name].slice(second));
    }
    expect([...infinite.y].every(Number.isFinite)).toBe(false);
    const [before, after] = await both(false);
    const tap = (data: ArrayLike<number>, i: number) =>
      Array.from(data).slice((i * data.length) / 9, ((i + 1) * data.length) / 9);
    for (const i of [2, 5, 6, 7, 8]) expect(tap(before.dweight, i), `tap ${i}`).toEqual(tap(after.dweight, i)); // the last row and column
    expect(tap(before.dweight, 4).every(Number.isFinite)).toBe(false);
  };
  it.for(cases)("subgroup x $x weight $weight $options", async (shape, context) => {
    needsSubgroupTiles(context);
    await checkInfinite(shape, "subgroup");
  });
  it.for(cases)("portable x $x weight $weight $options", (shape) => checkInfinite(shape, "portable"));
});

it("runs more than 65,535 workgroups", async () => {
  const places = 65_536 * 32 + 7;
  const x = randomArr([1, 1, places, 4], 1);
  const weight = randomArr([1, 1, 4, 4], 2);
  const { y, partials } = scope(() => conv2d(toGpu(x), toGpu(weight), { stats: true }));
  const data = await y.data();
  partials?.means.dispose();
  y.dispose();
  // The first and last place, and those around the fold.
  for (const place of [0, 31, 65_535 * 32 - 1, 65_535 * 32, 65_536 * 16, places - 8, places - 1]) {
    const want = [0, 1, 2, 3].map((k) =>
      [0, 1, 2, 3].reduce((sum, c) => sum + x.data[place * 4 + c] * weight.data[c * 4 + k], 0),
    );
    const shapes = { x: x.shape, weight: weight.shape };
    expectClose(data.slice(place * 4, place * 4 + 4), want, { op: "conv2d", shapes, options: { place }, terms: 4 });
  }
});

it("frees its temporaries", async () => {
  const device = await testDevice();
  const x = toGpu(randomArr([2, 5, 5, 3], 1), { requiresGrad: true });
  const weight = toGpu(randomArr([3, 3, 3, 6], 2), { requiresGrad: true });
  const dy = toGpu(randomArr([2, 3, 3, 6], 3));
  const before = device.memory().tensors;
  const y = conv2d(x, weight);
  expect(device.memory().tensors).toBe(before + 1);
  y.backward(dy);
  y.dispose();
  expect(device.memory().tensors).toBe(before + 2); // the two gradients
});

it("says what does not fit", () => {
  const tensorOf = (shape: number[]) => toGpu(randomArr(shape, 1));
  const [x, weight] = [tensorOf([8, 32, 32, 3]), tensorOf([3, 3, 4, 64])];
  const fails = (message: string, ...args: Parameters<typeof conv2d>) =>
    expect(() => conv2d(...args)).toThrow(new Error(message));
  fails("conv2d: weight [3,3,4,64] expects 4 input channels, x [8,32,32,3] has 3", x, weight);
  fails("conv2d: x must be f32 or f16 [N,H,W,C], got Tensor f32[8,32,96]", x.view([8, 32, 96]), weight);
  fails("conv2d: x must be f32 or f16 [N,H,W,C], got Tensor u32[8,32,32,3]", x.view(x.shape, "u32"), weight);
  fails("conv2d: weight must be f32 [R,S,C,K], got Tensor f32[36,64]", x, weight.view([36, 64]));
  const six = tensorOf([1, 4, 4, 6]);
  fails("conv2d: 4 groups do not divide 6 input and 8 output channels", six, tensorOf([3, 3, 1, 8]), { groups: 4 });
  fails(
    "conv2d: weight [3,3,2,8] expects 2 x 2 groups = 4 input channels, x [1,4,4,6] has 6",
    six,
    tensorOf([3, 3, 2, 8]),
    { groups: 2 },
  );
  fails(
    "conv2d: a window of 5 does not fit into 4 pixels with padding 0; x is [1,4,4,6]",
    six,
    tensorOf([3, 3, 6, 8]),
    { dilation: 2 },
  );
  fails("conv2d: stride and dilation must be whole numbers from 1, got 1 x 0 and 1 x 1", six, tensorOf([3, 3, 6, 8]), {
    stride: [1, 0],
  });
  fails("conv2d: 1.5 groups do not divide 6 input and 8 output channels", six, tensorOf([3, 3, 4, 8]), { groups: 1.5 });
  fails("conv2d: padding must be a whole number from 0, got -1 x -1", six, tensorOf([3, 3, 6, 8]), { padding: -1 });
});
