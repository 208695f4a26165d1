import { beforeAll, describe, expect, it } from "vitest";
import { matmul, type KernelFamily } from "../../engine/index.ts";
import { matmul as reference } from "../reference/matmul.ts";
import { needsSubgroupTiles, testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { checkProduct, type Case } from "./matmul-checks.ts";

beforeAll(testDevice);

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
  square(40, 3000, 90), // the cache holds two of three tiles of columns of b
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

const families: KernelFamily[] = ["subgroup", "portable"];

describe.each(families)("%s kernels", (family) => {
  it.for([...everywhere, ...layouts])("$a x $b $options", async (shapes, context) => {
    if (family === "subgroup") needsSubgroupTiles(context);
    await withFamily(family, () => checkProduct(shapes));
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
