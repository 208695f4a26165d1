// The kernel for real GPUs compiles its geometry in: every shape costs a software GPU a compilation, so few shapes.
import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, matmul } from "../../engine/index.ts";
import { chooseMatmulTile, matmulSplits } from "../../engine/ops/matmul-workgroup.ts";
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

describe("a long sum is shared by workgroups", () => {
  it.each<Case & { splits: number }>([
    { a: [3, 612], b: [612, 7], splits: 4 }, // splits of 153 steps, results that are no whole vec4s
    { a: [520, 68], b: [520, 12], options: { transposeA: true }, splits: 5 }, // two tiles
    { a: [2, 2, 2304], b: [5, 2304], options: { transposeB: true }, splits: 18 },
  ])("$a x $b in $splits splits", async ({ a: aShape, b: bShape, options, splits }) => {
    const [a, b] = [randomArr(aShape, 1), randomArr(bShape, 2)];
    const want = reference(a, b, options);
    const [K, N] = options?.transposeB ? [bShape[1], bShape[0]] : bShape;
    expect(matmulSplits({ batches: 1, M: want.data.length / N, N, K }, "64x64")).toBe(splits);
    const y = await withFamily("workgroup", () => matmul(toGpu(a), toGpu(b), options));
    const how = { op: "matmul", shapes: { a: aShape, b: bShape }, options: { ...options } };
    expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, terms: K });
  });

  it("where there are few of them", () => {
    const product = (M: number, K: number, N: number, batches = 1): number =>
      matmulSplits({ batches, M, N, K }, chooseMatmulTile({ batches, M, N }));
    expect(product(512, 512, 10)).toBe(4); // a classifier
    expect(product(64, 100_000, 64)).toBe(625);
    expect(product(512, 511, 10)).toBe(1);
    expect(product(64, 1009, 64)).toBe(1); // a prime
    expect(product(64, 512, 64, 2)).toBe(1);
    expect(product(1024, 4096, 512)).toBe(16);
    expect(product(1024, 4096, 1024)).toBe(1);
  });
});
