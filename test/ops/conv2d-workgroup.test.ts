// The kernels for real GPUs compile their geometry in: every shape costs a software GPU several compilations, so few shapes.
import { beforeAll, describe, expect, it } from "vitest";
import { empty } from "../../engine/index.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import type { Gather } from "../../engine/ops/conv2d-geometry.ts";
import { chooseTile, contributing, gatherTiles, type WorkgroupTile } from "../../engine/ops/conv2d-workgroup.ts";
import * as reference from "../reference/conv2d.ts";
import { testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, checkPartials, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

describe("workgroup tiles", () => {
  it.each<Case>([
    { x: [1, 1, 63, 3], weight: [1, 1, 3, 70] }, // tile - 1 places; C and K padded to 4; a weight gradient wider than high
    { x: [2, 9, 7, 20], weight: [3, 3, 20, 80], options: { stride: 2, padding: 1 } }, // partial chunk forward, two column tiles, four phases
    { x: [1, 4, 5, 4], weight: [1, 1, 4, 16], options: { stride: 2 } }, // three phases that see no tap
    { x: [1, 9, 10, 8], weight: [3, 2, 8, 4], options: { stride: [2, 3], padding: [0, 2], dilation: [3, 2] } },
    { x: [2, 16, 17, 8], weight: [3, 3, 8, 8], options: { padding: 1 } }, // several splits, the last one shorter
  ])("x $x weight $weight $options", (shape) => checkConv2d(shape, "workgroup"));

  it.each<Case>([
    { x: [1, 9, 7, 12], weight: [3, 3, 12, 36], options: { stride: 2, padding: 1 } }, // the wide tile
  ])("f16 x $x weight $weight $options", (shape) => checkConv2d(shape, "workgroup", "f16"));

  it.each<Case>([
    { x: [1, 5, 13, 4], weight: [1, 1, 4, 8] }, // tile + 1 places: a last tile of one place
    { x: [3, 7, 5, 16], weight: [3, 3, 16, 68], options: { padding: 1 } },
  ])("batch norm's partial sums, x $x weight $weight $options", (shape) => checkStats(shape, "workgroup"));

  it("share a pipeline between batch sizes", async () => {
    const device = await testDevice();
    const run = (N: number) =>
      withFamily("workgroup", () => conv2d(toGpu(randomArr([N, 2, 2, 4], 1)), toGpu(randomArr([1, 1, 4, 4], 2))));
    await run(3);
    const before = device.kernels.size;
    await run(2);
    expect(device.kernels.size).toBe(before);
  });

  it("grow with the output", () => {
    expect(chooseTile(32_768, 64)).toBe("64x64");
    expect(chooseTile(264 * 128, 64)).toBe("128x64");
    expect(chooseTile(264 * 256, 64)).toBe("256x64");
    expect(chooseTile(264 * 128, 128)).toBe("128x128");
    expect(chooseTile(132 * 128, 128)).toBe("128x64");
    expect(chooseTile(2048, 512)).toBe("64x64");
  });
});

it("an input gradient with a stride runs only the taps that its phase sees", () => {
  // 3 x 3, stride 2, padding 1, of dx [.., 8, 8]: the phases' taps along an axis are the middle one, and the outer two.
  const gather = (p: number): Gather => ({
    x: [1, 4, 4, 4],
    y: [1, 8, 8, 4],
    taps: [3, 3],
    places: [4, 4],
    step: [1, 1],
    origin: [p + 1, p + 1],
    spacing: [-1, -1],
    divisor: [2, 2],
    spread: [2, 2],
    phase: [p, p],
  });
  expect(contributing(gather(0), 0)).toMatchObject({ first: 1, count: 1, origin: 0 });
  expect(contributing(gather(1), 0)).toEqual({ first: 0, step: 2, count: 2, origin: 1, spacing: -1 });
  // 1 x 1: the other phase sees none.
  expect(contributing({ ...gather(1), taps: [1, 1], origin: [1, 1] }, 0).count).toBe(0);
});

// Shapes that choose these tiles by themselves are too large for a test.
it.each<WorkgroupTile>([
  [128, 64],
  [128, 128],
  [256, 64],
])("a tile of %i x %i", async (...tile) => {
  const [C, K] = [tile[0] === 256 ? 32 : 24, tile[1] + 4]; // the sum ends with a pair of strips, or in one
  const side = tile[0] === 256 ? 17 : 12; // tile + 33 places, tile + 16
  const x = randomArr([1, side, side, C], 1);
  const weight = randomArr([1, 3, C, K], 2);
  const gather: Gather = {
    x: [1, side, side, C],
    y: [1, side, side, K],
    taps: [1, 3],
    places: [side, side],
    step: [1, 1],
    origin: [0, -1],
    spacing: [1, 1],
    divisor: [1, 1],
    spread: [1, 1],
    phase: [0, 0],
  };
  const y = empty(gather.y);
  const partials = gatherTiles(toGpu(x), toGpu(weight), y, gather, true, tile);
  const want = reference.conv2d(x, weight, { padding: [0, 1] });
  const how = { op: "conv2d", shapes: { x: x.shape, weight: weight.shape }, options: { tile } };
  expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, terms: 3 * C });
  await checkPartials(partials!, want, 3 * C, how);
});
