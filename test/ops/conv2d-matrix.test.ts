// The kernels of subgroup matrices, with the matrices themselves emulated (test/support/matrices.ts): adapters for tests have none.
import { beforeAll, describe, expect, it, vi } from "vitest";
import { currentDevice, empty } from "../../engine/index.ts";
import type { DeviceInfo } from "../../engine/gpu/device-info.ts";
import { chooseMatrix, matricesOf } from "../../engine/open.ts";
import type { Gather, Geometry } from "../../engine/ops/conv2d-geometry.ts";
import { gatherMatrix, gatherMatrixPlan, usesMatrices, weightGradientMatrix } from "../../engine/ops/conv2d-matrix.ts";
import { weightGradientMatrixPlan } from "../../engine/ops/conv2d-matrix.ts";
import { matmulMatrix, type MatrixTile } from "../../engine/ops/matmul-matrix.ts";
import { matrixProblem } from "../../engine/ops/self-test.ts";
import * as reference from "../reference/conv2d.ts";
import { matmul } from "../reference/matmul.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { kindsOf, stored } from "../support/half.ts";
import { withMatrices } from "../support/matrices.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkConv2d, checkPartials, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

const SQUARE = { M: 16, N: 16, K: 16 };
const sizes = [SQUARE, { M: 16, N: 8, K: 16 }, { M: 16, N: 8, K: 8 }];
const tiles: [...MatrixTile, size: (typeof sizes)[number]][] = [
  [64, 128, sizes[2]],
  [128, 64, sizes[1]],
  [128, 128, SQUARE],
  [256, 64, SQUARE],
];

it.each(sizes)("the self-test passes with matrices of $M x $N x $K", async (size) => {
  expect(await withMatrices(currentDevice(), size, matrixProblem)).toBeNull();
});

describe.each<Case>([
  { x: [1, 1, 63, 8], weight: [1, 1, 8, 16] }, // tile - 1 places; fewer channels than a step takes
  { x: [1, 5, 13, 24], weight: [3, 3, 24, 72], options: { padding: 1 } }, // tile + 1 places, tile + 8 columns; steps across taps
  { x: [2, 9, 8, 32], weight: [3, 3, 32, 64], options: { stride: 2, padding: 1 } }, // two steps a tap; four phases that skip some
])("x $x weight $weight $options", (shape) => {
  it("forward and gradients", () =>
    withMatrices(currentDevice(), SQUARE, () => checkConv2d(shape, "workgroup", "f16", "f16")));
  it("batch norm's partial sums", () =>
    withMatrices(currentDevice(), SQUARE, () => checkStats(shape, "workgroup", "f16", "f16")));
});

// Shapes that choose these tiles by themselves are too large for a test.
describe.each(tiles)("a tile of %i x %i with matrices of %o", (rows, columns, size) => {
  const tile: MatrixTile = [rows, columns];
  const options = { tile, size };

  it("of a product", async () => {
    const [M, K, N] = [264, 40, 136];
    const [a, b] = [stored(randomArr([M, K], 1), "f16"), stored(randomArr([K, N], 2), "f16")];
    const run = () => matmulMatrix(toGpu(a, { dtype: "f16" }), toGpu(b, { dtype: "f16" }), tile);
    const y = await withMatrices(currentDevice(), size, run);
    const how = { op: "matmul", shapes: { a: a.shape, b: b.shape }, options, terms: K };
    expectClose({ data: await y.data(), shape: y.shape }, matmul(a, b), how);
  });

  it("of a convolution and its weight gradient", async () => {
    const [C, K, side] = [24, 136, 17]; // 289 places
    const x = stored(randomArr([1, side, side, C], 1), "f16");
    const weight = stored(randomArr([1, 3, C, K], 2), "f16");
    const dy = stored(randomArr([1, side, side, K], 3), "f16");
    const g = geometryOf(1, side, C, K, 1, [1, 3]);
    const gather = forwardOf(g);
    const y = empty(gather.y, "f16");
    const half = { dtype: "f16" } as const;
    const wanted = empty(g.weight);
    const { partials, dweight } = await withMatrices(currentDevice(), size, () => ({
      partials: gatherMatrix(toGpu(x, half), toGpu(weight, half), y, gather, true, tile),
      dweight: weightGradientMatrix(toGpu(x, half), toGpu(dy, half), g, tile, wanted),
    }));
    expect(dweight.location().buffer).toBe(wanted.location().buffer);
    const want = reference.conv2d(x, weight, { padding: [0, 1] });
    const how = { op: "conv2d", shapes: { x: x.shape, weight: weight.shape }, options };
    expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, kind: kindsOf("sum", "f16"), terms: 3 * C });
    await checkPartials(partials!, want, 3 * C, how);
    const exact = reference.conv2dGradients(x, weight, dy, { padding: [0, 1] }).dweight;
    const got = { data: await dweight.data(), shape: dweight.shape };
    expectClose(got, exact, { ...how, op: "conv2d dweight", terms: side * side });
  });
});

describe("ResNet-18 at batch 512", () => {
  it.each([
    [32, 64, 64, 1, [256, 64], 2048, [128, 64], 264],
    [32, 64, 128, 2, [128, 128], 1024, [128, 128], 264],
    [16, 128, 256, 2, [128, 128], 512, [128, 128], 264],
    [8, 256, 256, 1, [128, 128], 512, [128, 128], 264],
    [4, 512, 512, 1, [128, 64], 512, [128, 128], 288],
  ])("side %i, %i to %i channels, stride %i", (side, C, K, stride, tile, workgroups, weightTile, least) => {
    const g = geometryOf(512, side, C, K, stride, [3, 3]);
    expect(gatherMatrixPlan(forwardOf(g))).toMatchObject({ tile, workgroups });
    const plan = weightGradientMatrixPlan(g);
    expect(plan.tile).toEqual(weightTile);
    expect(plan.workgroups).toBeGreaterThanOrEqual(least);
    expect(plan.workgroups).toBeLessThan(2 * least);
    // Every pixel belongs to one split, and no split is empty.
    const pixels = g.y[0] * g.y[1] * g.y[2];
    expect(plan.splits * plan.steps * 32).toBeGreaterThanOrEqual(pixels);
    expect((plan.splits - 1) * plan.steps * 32).toBeLessThan(pixels);
  });
});

function geometryOf(N: number, side: number, C: number, K: number, stride: number, taps: [number, number]): Geometry {
  const P = Math.ceil(side / stride);
  return {
    x: [N, side, side, C],
    y: [N, P, P, K],
    weight: [...taps, C, K],
    stride: [stride, stride],
    padding: [(taps[0] - 1) / 2, (taps[1] - 1) / 2],
    dilation: [1, 1],
    groups: 1,
  };
}

function forwardOf(g: Geometry): Gather {
  const { x, y, stride, dilation, padding } = g;
  const [R, S] = g.weight;
  const rest = { divisor: [1, 1], spread: [1, 1], phase: [0, 0] } as const;
  const origin = [-padding[0], -padding[1]] as const;
  return { x, y, taps: [R, S], places: [y[1], y[2]], step: stride, origin, spacing: dilation, ...rest };
}

it("are used where channels divide by 8, and the device has them", async () => {
  const [fitting, other] = [geometryOf(1, 4, 8, 16, 1, [3, 3]), geometryOf(1, 4, 12, 16, 1, [3, 3])];
  expect(usesMatrices(fitting)).toBe(false);
  const used = await withMatrices(currentDevice(), SQUARE, () => [fitting, other].map(usesMatrices));
  expect(used).toEqual([true, false]);
});

it("take the tile that was measured, forward and for the weights", async () => {
  const device = currentDevice();
  const measured = device.choices.measured;
  const shape: Case = { x: [1, 6, 6, 16], weight: [3, 3, 16, 72], options: { padding: 1 } };
  try {
    await withMatrices(device, SQUARE, async () => {
      await checkConv2d(shape, "workgroup", "f16", "f16");
      const open = device.choices.open.filter(({ op, shape }) => /^conv2d\..*atrix$/.test(op) && shape.includes("6x6"));
      expect(open.map(({ op }) => op).sort()).toEqual(["conv2d.matrix", "conv2d.matrix", "conv2d.weightMatrix"]);
      for (const { op, shape, variants, fixed } of open) {
        expect(variants).toContain(fixed);
        device.choices.load({ [`${op} ${shape}`]: variants.find((variant) => variant !== fixed)! });
      }
      const get = vi.spyOn(device.kernels, "get");
      await checkConv2d(shape, "workgroup", "f16", "f16");
      const used = get.mock.calls.map(
        ([{ name }, { TILE_ROWS: r, TILE_COLUMNS: c }]) => `${name} ${String(r)}x${String(c)}`,
      );
      get.mockRestore();
      const tiles = open.map(({ op, shape }) => device.choices.measured[`${op} ${shape}`]).sort();
      expect(used.filter((one) => one.includes("atrix")).map((one) => one.split(" ")[1]).sort()).toEqual(tiles); // prettier-ignore
    });
  } finally {
    device.choices.load(measured);
  }
});

it("are the first listed size whose products come out right, and why others do not is known", async () => {
  const device = currentDevice();
  const { info, kernels, matrixProblems } = device;
  await withMatrices(device, SQUARE, async () => {
    const get = kernels.get.bind(kernels);
    Object.assign(device, { info: { ...info, subgroupSize: 32, subgroupMatrices: sizes } });
    kernels.get = (source, constants, texels) => {
      if (constants["MATRIX_COLUMNS"] === 16) throw new Error("no such matrix");
      return get(source, constants, texels);
    };
    try {
      await chooseMatrix(device);
      expect(device.matrix).toEqual(sizes[1]);
      expect(device.matrixProblems).toEqual(["16 x 16 x 16: no such matrix"]);
      const otherwise = (subgroups: Partial<DeviceInfo>): Promise<void> => {
        Object.assign(device, { info: { ...device.info, subgroupSizeControl: false, ...subgroups }, matrix: null });
        return chooseMatrix(device);
      };
      await otherwise({ subgroupSize: 64 });
      expect(device.matrix).toBeNull();
      expect(device.matrixProblems).toEqual(["subgroups must have 32 invocations, not 64"]);
      await otherwise({ subgroupSize: 0 });
      expect(device.matrixProblems).toEqual(["subgroups must have 32 invocations, not one number or another"]);
      await otherwise({ subgroupSize: 0, subgroupSizeControl: true });
      expect(device.matrix).toEqual(sizes[1]);
      await otherwise({ subgroupMatrices: [] });
      expect(device.matrix).toBeNull();
      expect(device.matrixProblems).toEqual([expect.stringMatching(/^no chromium-experimental-subgroup-matrix: /)]);
    } finally {
      Object.assign(device, { info, matrixProblems });
      kernels.get = get;
    }
  });
});

it("come in the listed sizes of f16 operands and f32 sums, the best first", () => {
  const config = (M: number, N: number, K: number, componentType = "f16", resultComponentType = "f32") =>
    ({ M, N, K, componentType, resultComponentType }); // prettier-ignore
  expect(matricesOf({})).toEqual([]);
  expect(matricesOf({ subgroupMatrixConfigs: [config(16, 16, 16, "f16", "f16"), config(8, 8, 8)] })).toEqual([]);
  expect(matricesOf({ subgroupMatrixConfigs: [config(16, 8, 8), config(16, 8, 16)] })).toEqual(sizes.slice(1));
  expect(matricesOf({ subgroupMatrixConfigs: [config(16, 8, 16), config(16, 16, 16)] })).toEqual(sizes.slice(0, 2));
});
