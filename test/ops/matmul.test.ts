import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, matmul, type KernelFamily } from "../../engine/index.ts";
import { chooseMatmulTile } from "../../engine/ops/matmul.ts";
import { matmul as reference, type MatmulOptions } from "../reference/matmul.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

interface Case {
  a: number[];
  b: number[];
  options?: MatmulOptions;
}

const square = (m: number, k: number, n: number): Case => ({ a: [m, k], b: [k, n] });

// The kernels that take shapes from Params: many shapes, around the tiles of 8 (portable), 16 and 32 (subgroups of 4 and 8 lanes).
const everywhere: Case[] = [
  square(1, 1, 1),
  square(5, 3, 10), // a classifier's ten columns
  square(33, 7, 10),
  ...[7, 8, 9].map((n) => square(n, 4, n)),
  ...[15, 16, 17].map((n) => square(n, 3, n)),
  ...[31, 32, 33].map((n) => square(n, 9, n)),
  ...[63, 64, 65].map((n) => square(n, 2, 96 - n)),
  square(1, 64, 36),
  square(68, 1, 4),
];

const layouts: Case[] = [
  { a: [6, 9], b: [6, 7], options: { transposeA: true } },
  { a: [6, 8], b: [6, 12], options: { transposeA: true } }, // as the kernels want it: nothing is packed
  { a: [9, 6], b: [7, 6], options: { transposeB: true } },
  { a: [6, 9], b: [7, 6], options: { transposeA: true, transposeB: true } },
  { a: [3, 4, 5], b: [5, 6] }, // one b for all: folded into 12 rows
  { a: [3, 5, 4], b: [5, 6], options: { transposeA: true } },
  { a: [4, 5], b: [3, 5, 6] },
  { a: [3, 4, 5], b: [3, 5, 8] },
  { a: [3, 5, 4], b: [3, 6, 5], options: { transposeA: true, transposeB: true } },
  { a: [2, 1, 4, 3], b: [3, 3, 4] }, // broadcast both ways
  { a: [2, 1, 3, 4], b: [1, 3, 2, 3], options: { transposeA: true, transposeB: true } },
  { a: [2, 1, 2, 1, 3, 4], b: [3, 1, 2, 4, 5] },
];

// A constant geometry is a compile for each shape: few of them, and tiles of 64.
const constant: Case[] = [
  square(65, 17, 66),
  { a: [2, 1, 5, 63], b: [3, 4, 5], options: { transposeA: true, transposeB: true } },
];

const families: [KernelFamily, Case[]][] = [
  ["subgroup", [...everywhere, ...layouts]],
  ["portable", [...everywhere, ...layouts]],
  ["workgroup", constant],
];

async function checkProduct({ a: aShape, b: bShape, options = {} }: Case): Promise<void> {
  const a = randomArr(aShape, 1);
  const b = randomArr(bShape, 2);
  const inputs = [toGpu(a, { requiresGrad: true }), toGpu(b, { requiresGrad: true })];
  const y = matmul(inputs[0], inputs[1], options);
  const want = reference(a, b, options);
  const how = { shapes: { a: aShape, b: bShape }, options };
  const K = aShape.at(options.transposeA ? -2 : -1)!;
  expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, op: "matmul", terms: K });
  const dy = randomArr(want.shape, 3);
  y.backward(toGpu(dy));
  for (const [which, name] of ["a", "b"].entries()) {
    const g = sampledGradient((v) => reference(v[0], v[1], options), [a, b], which, dy, { count: 12, seed: 4 });
    const terms = Math.ceil(dy.data.length / Math.min(aShape.at(options.transposeA ? -1 : -2)!, want.shape.at(-1)!));
    const got = pick(await inputs[which].grad!.data(), g.indices);
    expectClose(got, g, { ...how, op: `matmul d${name}`, terms });
  }
}

describe.each(families)("%s kernels", (family, cases) => {
  it.for(cases)("$a x $b $options", async (shapes, context) => {
    if (family === "subgroup") needsSubgroupTiles(context);
    await withFamily(family, () => checkProduct(shapes));
  });
});

describe("tiles of the workgroup kernels", () => {
  // Too large for a test to choose by themselves. The forward pass only: a shape is a compile of seconds on a software GPU.
  it.each([
    {
      tile: "128x128",
      shapes: [
        [32, 129],
        [32, 132],
      ],
    }, // tile + 1 and tile + 4, whole strips, rows of vec4s
    {
      tile: "128x128",
      shapes: [
        [9, 127],
        [9, 129],
      ],
    }, // tile - 1, less than two strips
    {
      tile: "128x64",
      shapes: [
        [2, 25, 128],
        [1, 25, 65],
      ],
    }, // one b for two a
  ])("$tile: a and b of $shapes", async ({ tile, shapes }) => {
    const [aShape, bShape] = shapes;
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

it("sums long products as accurately as their length allows", async () => {
  const a = randomArr([9, 3000], 1);
  const b = randomArr([3000, 5], 2);
  const y = matmul(toGpu(a), toGpu(b));
  expectClose(await y.data(), reference(a, b), { op: "matmul", shapes: { a: a.shape, b: b.shape }, terms: 3000 });
});

it("multiplies a tensor by itself", async () => {
  const x = randomArr([5, 5], 1);
  const input = toGpu(x, { requiresGrad: true });
  const y = matmul(input, input);
  expectClose(await y.data(), reference(x, x), { op: "matmul", shapes: { x: x.shape }, terms: 5 });
  const dy = randomArr([5, 5], 2);
  y.backward(toGpu(dy));
  const g = sampledGradient((v) => reference(v[0], v[0]), [x], 0, dy, { count: 25, seed: 3 });
  expectClose(pick(await input.grad!.data(), g.indices), g, { op: "matmul dx", shapes: { x: x.shape }, terms: 10 });
});

it("runs more than 65,535 tiles", async () => {
  const batches = 65_536 + 3;
  const a = randomArr([batches, 1, 2], 1);
  const b = randomArr([batches, 2, 4], 2);
  const y = await matmul(toGpu(a), toGpu(b)).data();
  expectClose(y.slice(-400), reference(a, b).data.slice(-400), {
    op: "matmul",
    shapes: { a: a.shape, b: b.shape },
    terms: 2,
  });
});

it("names what does not fit", () => {
  const x = (shape: number[]) => toGpu(randomArr(shape, 1));
  expect(() => matmul(x([2, 3]), x([4, 5]))).toThrow("matmul: a [2,3] has 3 columns, b [4,5] has 4 rows");
  expect(() => matmul(x([2, 3]), x([3, 5]), { transposeB: true })).toThrow("b [3,5] (transposed) has 5 rows");
  expect(() => matmul(x([2, 3, 4]), x([3, 4, 5]))).toThrow("matmul: shapes [2] and [3] do not broadcast");
  expect(() => matmul(x([3]), x([3, 5]))).toThrow("matmul: a must be an f32 matrix");
});
