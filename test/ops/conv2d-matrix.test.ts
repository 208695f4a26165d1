// The kernels of subgroup matrices, with the matrices themselves emulated (test/support/matrices.ts): adapters for tests have none.
import { beforeAll, describe, expect, it } from "vitest";
import { matricesWork } from "../../engine/ops/self-test.ts";
import { currentDevice } from "../../engine/index.ts";
import { testDevice } from "../support/gpu.ts";
import { withMatrices } from "../support/matrices.ts";
import { checkConv2d, checkStats, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

const SQUARE = { M: 16, N: 16, K: 16 };
const sizes = [SQUARE, { M: 16, N: 8, K: 16 }, { M: 16, N: 8, K: 8 }];

it.each(sizes)("the self-test passes with matrices of $M x $N x $K", async (size) => {
  expect(await withMatrices(currentDevice(), size, matricesWork)).toBe(true);
});

describe.each<Case>([
  { x: [1, 1, 63, 8], weight: [1, 1, 8, 16] }, // tile - 1 places; fewer channels than a step takes
  { x: [1, 5, 13, 24], weight: [3, 3, 24, 72], options: { padding: 1 } }, // tile + 1 places, tile + 8 columns; steps across taps
  { x: [2, 9, 8, 32], weight: [3, 3, 32, 8], options: { stride: 2, padding: 1 } }, // one tap a step; four phases that skip some
])("x $x weight $weight $options", (shape) => {
  it("forward and gradients", () =>
    withMatrices(currentDevice(), SQUARE, () => checkConv2d(shape, "workgroup", "f16", "f16")));
  it("batch norm's partial sums", () =>
    withMatrices(currentDevice(), SQUARE, () => checkStats(shape, "workgroup", "f16", "f16")));
});
