// The kernel for real GPUs compiles its geometry in: every shape costs a software GPU a compilation, so few shapes.
import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, matmul } from "../../engine/index.ts";
import { chooseMatmulTile } from "../../engine/ops/matmul.ts";
import { matmul as reference } from "../reference/matmul.ts";
import { testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkProduct, type Case } from "./matmul-checks.ts";

beforeAll(testDevice);

it.each<Case>([
  { a: [65, 17], b: [17, 66] }, // tile + 1 and tile + 2
  { a: [2, 1, 5, 63], b: [3, 4, 5], options: { transposeA: true, transposeB: true } },
])("$a x $b $options", (shapes) => withFamily("workgroup", () => checkProduct(shapes)));

describe("tiles", () => {
  // Too large for a test to choose by themselves. The forward pass only: a shape is a compile of seconds on a software GPU.
  it.each([
    { tile: "128x128", a: [32, 129], b: [32, 132] }, // tile + 1 and tile + 4, whole strips, rows of vec4s
    { tile: "128x128", a: [9, 127], b: [9, 129] }, // tile - 1, less than two strips
    { tile: "128x64", a: [2, 25, 128], b: [1, 25, 65] }, // one b for two a
  ])("$tile: a $a b $b", async ({ tile, a: aShape, b: bShape }) => {
    const [a, b] = [randomArr(aShape, 1), randomArr(bShape, 2)];
    const options = { transposeA: true };
    const [K, M, N] = [aShape.at(-2)!, aShape.at(-1)!, bShape.at(-1)!];
    const shape = `${aShape.length === 3 ? aShape[0] : 1}x${M}x${K}x${N}`;
    currentDevice().choices.settle({ op: "matmul", shape }, tile);
    const y = await withFamily("workgroup", () => matmul(toGpu(a), toGpu(b), options));
    const how = { op: "matmul", shapes: { a: aShape, b: bShape }, options: { tile } };
    expect(currentDevice().choices.used[`matmul ${shape}`]).toBe(tile);
    expectClose({ data: await y.data(), shape: y.shape }, reference(a, b, options), { ...how, terms: K });
  });

  it("grow with the product", () => {
    expect(chooseMatmulTile({ batches: 1, M: 4096, N: 4096 })).toBe("128x128");
    expect(chooseMatmulTile({ batches: 1, M: 1536, N: 1536 })).toBe("128x64");
    expect(chooseMatmulTile({ batches: 36, M: 2048, N: 64 })).toBe("128x64");
    expect(chooseMatmulTile({ batches: 1, M: 512, N: 10 })).toBe("64x64");
  });
});
