// conv2d on f16 tensors: every kernel that loads and stores f16, against the definition at the rounded inputs.
import { beforeAll, describe, expect, it } from "vitest";
import { conv2d } from "../../engine/ops/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withWinograd } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

const cases: Case[] = [
  { x: [1, 1, 1, 4], weight: [1, 1, 4, 4] },
  { x: [2, 5, 4, 3], weight: [3, 3, 3, 10], options: { padding: 1 } }, // neither C nor K divides by 4
  { x: [2, 5, 5, 3], weight: [3, 3, 3, 8], options: { padding: 1 } }, // a stem
  { x: [1, 1, 33, 8], weight: [1, 1, 8, 16] }, // one place more than a tile, half of its columns
  { x: [1, 9, 7, 12], weight: [3, 3, 12, 36], options: { stride: 2, padding: 1 } }, // the wide tile
  { x: [2, 3, 8, 16], weight: [3, 3, 16, 28], options: { padding: 1 } }, // rows
  { x: [1, 6, 10, 16], weight: [3, 3, 16, 12], options: { dilation: [2, 1] } },
  { x: [2, 9, 10, 8], weight: [3, 3, 1, 8], options: { groups: 8, stride: 2, padding: 1 } }, // depthwise
  { x: [2, 5, 5, 8], weight: [3, 3, 4, 8], options: { groups: 2 } },
];

describe.each(cases)("f16 x $x weight $weight $options", (shape) => {
  it("subgroup", async (context) => {
    needsSubgroupTiles(context);
    await checkConv2d(shape, "subgroup", "f16");
  });
  it("portable", () => checkConv2d(shape, "portable", "f16"));
});

it.for<Case>([
  { x: [3, 5, 5, 4], weight: [3, 3, 4, 8], options: { padding: 1 } },
  { x: [1, 1, 33, 4], weight: [1, 1, 4, 100] },
  { x: [3, 3, 16, 4], weight: [3, 3, 4, 16], options: { padding: 1 } },
])("f16 batch norm's partial sums of x $x weight $weight are those before rounding", async (shape, context) => {
  needsSubgroupTiles(context);
  await checkStats(shape, "subgroup", "f16");
});

// Winograd's rounding is checked in f32: with f16 only loads and stores differ.
it.for([2, 4] as const)("f16 in Winograd's tiles of %i is f32's result, rounded", async (tile, context) => {
  needsSubgroupTiles(context);
  const shape = [2, 6, 5, 8];
  const [values, weights, upstream] = [shape, [3, 3, 8, 12], [2, 6, 5, 12]].map((size, i) => randomArr(size, i + 1));
  const run = async (dtype: "f16" | "f32") => {
    const x = toGpu(values, { dtype: "f16" }).to(dtype);
    const weight = toGpu(weights, { requiresGrad: true });
    x.requiresGrad = true;
    const y = conv2d(x, weight, { padding: 1 });
    y.backward(toGpu(upstream, { dtype: "f16" }).to(dtype));
    expect([y.dtype, x.grad!.dtype]).toEqual([dtype, dtype]);
    return { y: await y.data(), dx: await x.grad!.data(), dweight: await weight.grad!.data() };
  };
  const [half, whole] = await withWinograd(tile, async () => [await run("f16"), await run("f32")]);
  const how = { op: "conv2d", shapes: { x: shape }, options: { tile } };
  const kind = ["sum", "half"] as const;
  expectClose(half.y, whole.y, { ...how, kind, terms: 1 });
  expectClose(half.dx, whole.dx, { ...how, op: "conv2d dx", kind, terms: 1 });
  expectClose(half.dweight, whole.dweight, { ...how, op: "conv2d dweight", terms: 1 });
});

it("refuses weights in f16", () => {
  const [x, weight] = [toGpu(randomArr([1, 3, 3, 4], 1)), toGpu(randomArr([3, 3, 4, 4], 2), { dtype: "f16" })];
  const message = "conv2d: weight must be f32 [R,S,C,K], got Tensor f16[3,3,4,4]";
  expect(() => conv2d(x, weight)).toThrow(message);
});
