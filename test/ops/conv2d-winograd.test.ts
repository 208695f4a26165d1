import { beforeAll, describe, expect, it } from "vitest";
import { currentDevice, scope } from "../../engine/index.ts";
import { conv2d } from "../../engine/ops/conv2d.ts";
import type { Arr } from "../reference/array.ts";
import * as reference from "../reference/conv2d.ts";
import { needsSubgroupTiles, testDevice, toGpu, withWinograd } from "../support/gpu.ts";
import { pick, sampledGradient } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";
import { winogradAccuracy, winogradTransforms } from "../support/winograd.ts";
import { checkPartials, inTiles, type Case } from "./conv2d-checks.ts";

beforeAll(testDevice);

const tiles = [4, 2] as const;

describe.each(tiles)("the transforms for tiles of %i", (tile) => {
  it("give the convolution exactly", () => {
    const { at, g, bt } = winogradTransforms(tile);
    const { data: x } = randomArr([tile + 2], 1);
    const { data: w } = randomArr([3], 2);
    const dot = (a: readonly number[], b: ArrayLike<number>): number =>
      a.reduce((sum, value, i) => sum + value * b[i], 0);
    const products = bt.map((row, i) => dot(row, x) * dot(g[i], w));
    const want = Array.from({ length: tile }, (_, p) => x[p] * w[0] + x[p + 1] * w[1] + x[p + 2] * w[2]);
    at.forEach((row, p) => expect(dot(row, products)).toBeCloseTo(want[p], 13));
  });
});

/** The product's tiles are 32 rows (image tiles, or C) by 32 columns; the weight gradient sums four image tiles at a time. */
const cases: Case[] = [
  { x: [1, 1, 1, 4], weight: [3, 3, 4, 4], options: { padding: 1 } }, // one tile, nearly all of it outside
  { x: [1, 4, 4, 8], weight: [3, 3, 8, 32], options: { padding: 1 } },
  { x: [3, 5, 3, 4], weight: [3, 3, 4, 36], options: { padding: 1 } }, // partial tiles; a second column tile of one vec4
  { x: [1, 9, 7, 36], weight: [3, 3, 36, 8], options: { padding: 1 } }, // a second row tile of four rows in the weight gradient
  { x: [2, 16, 18, 4], weight: [3, 3, 4, 8], options: { padding: 1 } },
  { x: [1, 4, 124, 4], weight: [3, 3, 4, 4], options: { padding: 1 } }, // tile - 1, of 4 pixels
  { x: [11, 12, 4, 4], weight: [3, 3, 4, 4], options: { padding: 1 } }, // tile + 1
  { x: [2, 6, 5, 3], weight: [3, 3, 3, 6], options: { padding: 1 } }, // channels padded to 4
  { x: [1, 8, 9, 4], weight: [3, 3, 4, 4] }, // no padding: the input gradient's is 2
  { x: [1, 3, 6, 4], weight: [3, 3, 4, 8], options: { padding: 2 } },
  { x: [2, 5, 4, 4], weight: [3, 3, 4, 4], options: { padding: [0, 2] } },
  { x: [1, 11, 10, 64], weight: [3, 3, 64, 64], options: { padding: 1 } },
];

describe.each(tiles)("tiles of %i", (tile) => {
  it.for(cases)("x $x weight $weight $options", async (shape, context) => {
    needsSubgroupTiles(context);
    await checkWinograd(shape, tile);
  });
});

/** Forward pass against the definition, both gradients against the exact ones and, for small shapes, central differences. */
async function checkWinograd({ x: xShape, weight: weightShape, options = {} }: Case, tile: 2 | 4): Promise<void> {
  const x = randomArr(xShape, 1);
  const weight = randomArr(weightShape, 2);
  const want = reference.conv2d(x, weight, options);
  const dy = randomArr(want.shape, 3);
  const how = { shapes: { x: xShape, weight: weightShape }, options: { ...options, tile } };
  const got = await withWinograd(tile, () => passes(x, weight, dy, options));
  const [, , C, K] = weightShape;
  const [N, P, Q] = want.shape;
  const imageTiles = N * Math.ceil(P / tile) * Math.ceil(Q / tile);
  const accuracy = {
    y: winogradAccuracy(tile, "forward", C),
    dx: winogradAccuracy(tile, "forward", K),
    dweight: winogradAccuracy(tile, "weightGradient", imageTiles),
  };
  const exact = reference.conv2dGradients(x, weight, dy, options);
  expectClose(got.y, want, { op: "winograd", ...how, ...accuracy.y });
  expectClose(got.dx, exact.dx, { op: "winograd dx", ...how, ...accuracy.dx });
  expectClose(got.dweight, exact.dweight, { op: "winograd dweight", ...how, ...accuracy.dweight });
  if (want.data.length * 9 * C > 10_000) return; // a difference costs two evaluations of the definition
  const f = ([a, b]: Arr[]): Arr => reference.conv2d(a, b, options);
  (
    [
      ["dx", 0],
      ["dweight", 1],
    ] as const
  ).forEach(([name, which]) => {
    const sampled = sampledGradient(f, [x, weight], which, dy, { count: 12, seed: 4 });
    const scale = exact[name].data.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
    expectClose(pick(got[name], sampled.indices), sampled, {
      op: `winograd ${name}`,
      ...how,
      ...accuracy[name],
      scale,
    });
  });
}

async function passes(x: Arr, weight: Arr, dy: Arr, options: Case["options"]) {
  const inputs = { x: toGpu(x, { requiresGrad: true }), weight: toGpu(weight, { requiresGrad: true }) };
  const y = conv2d(inputs.x, inputs.weight, options ?? {});
  y.backward(toGpu(dy));
  const result = { y: await y.data(), dx: await inputs.x.grad!.data(), dweight: await inputs.weight.grad!.data() };
  for (const tensor of [y, inputs.x.grad!, inputs.weight.grad!, inputs.x, inputs.weight]) tensor.dispose();
  return result;
}

describe("winograd", () => {
  const [x, weight, dy] = [randomArr([2, 9, 9, 8], 1), randomArr([3, 3, 8, 8], 2), randomArr([2, 9, 9, 8], 3)];
  const run = () => passes(x, weight, dy, { padding: 1 });

  it("is what the tests above ran: the last bits differ from the direct kernels'", async (context) => {
    needsSubgroupTiles(context);
    const direct = await withWinograd(false, run);
    for (const tile of tiles) {
      const got = await withWinograd(tile, run);
      for (const name of ["y", "dx", "dweight"] as const) expect(got[name]).not.toEqual(direct[name]);
    }
  });

  it("gives the same bits every time, whatever its buffers held before", async (context) => {
    needsSubgroupTiles(context);
    const first = await withWinograd(4, run);
    scope(() => [1, 2, 3].map((seed) => toGpu(randomArr([36, 20, 8], seed)).size));
    expect(await withWinograd(4, run)).toEqual(first);
  });

  it("frees its temporaries", async (context) => {
    needsSubgroupTiles(context);
    const inputs = {
      x: toGpu(x, { requiresGrad: true }),
      weight: toGpu(weight, { requiresGrad: true }),
      dy: toGpu(dy),
    };
    const device = currentDevice();
    const before = device.memory().tensors;
    await withWinograd(4, () => {
      const y = conv2d(inputs.x, inputs.weight, { padding: 1 });
      expect(device.memory().tensors).toBe(before + 1);
      y.backward(inputs.dy);
      y.dispose();
    });
    expect(device.memory().tensors).toBe(before + 2); // the two gradients
  });

  it.for([
    ["x", "weight", 36 * 20 * 8 * 4], // [planes, tiles of both images rounded up to 4, C]
    ["weight", "x", 36 * 8 * 8 * 4], // [planes, C, K]
  ] as const)(
    "keeps the transformed %s for the gradient of %s, in a scope and within the budget, to the same bits",
    async ([, of, bytes], context) => {
      needsSubgroupTiles(context);
      const device = currentDevice();
      const budget = device.keptTransformBytes;
      const inputs = { x: toGpu(x), weight: toGpu(weight), dy: toGpu(dy) };
      inputs[of].requiresGrad = true;
      const trained = (limit: number) => {
        device.keptTransformBytes = limit;
        const before = device.memory().tensors;
        scope(() => {
          const y = conv2d(inputs.x, inputs.weight, { padding: 1 });
          const kept = device.memory().tensors - before - 1;
          expect(kept).toBe(limit < bytes ? 0 : 1);
          y.backward(inputs.dy);
          expect(device.memory().tensors).toBe(before + 2); // y and the gradient
          y.backward(inputs.dy); // has to compute it again
        });
        const { grad } = inputs[of];
        inputs[of].grad = null;
        return grad!.data().finally(() => grad!.dispose());
      };
      try {
        const results = await withWinograd(4, async () => [await trained(bytes), await trained(bytes - 1)]);
        expect(results[0]).toEqual(results[1]);
      } finally {
        device.keptTransformBytes = budget;
      }
    },
  );

  it("computes what it kept for tiles of 4 again where the setting has changed to 2", async (context) => {
    needsSubgroupTiles(context);
    const inputs = { x: toGpu(x, { requiresGrad: true }), weight: toGpu(weight, { requiresGrad: true }) };
    const { y, dx, dweight } = await withWinograd(4, () =>
      scope(() => {
        const y = conv2d(inputs.x, inputs.weight, { padding: 1 });
        currentDevice().winograd = 2;
        y.backward(toGpu(dy));
        return { y, dx: inputs.x.grad!, dweight: inputs.weight.grad! };
      }),
    );
    const [four, two] = [await withWinograd(4, run), await withWinograd(2, run)];
    expect(await y.data()).toEqual(four.y);
    expect([await dx.data(), await dweight.data()]).toEqual([two.dx, two.dweight]);
  });

  it("computes what it kept again where that went with a scope of the forward pass alone", async (context) => {
    needsSubgroupTiles(context);
    const [dx, dweight] = await withWinograd(4, async () => {
      const x = toGpu(randomArr([2, 8, 8, 16], 1), { requiresGrad: true });
      const weight = toGpu(randomArr([3, 3, 16, 16], 2), { requiresGrad: true });
      const dy = toGpu(randomArr([2, 8, 8, 16], 3));
      const gradients = async (): Promise<Float32Array[]> => {
        const both = (await Promise.all([x, weight].map(({ grad }) => grad!.data()))) as Float32Array[];
        x.grad = weight.grad = null;
        return both;
      };
      scope(() => conv2d(x, weight, { padding: 1 }).backward(dy));
      const whole = await gradients();
      scope(() => conv2d(x, weight, { padding: 1 })).backward(dy);
      expect(await gradients()).toEqual(whole);
      return whole;
    });
    expect([dx.length, dweight.length]).toEqual([2048, 2304]);
  });

  it("keeps nothing where no gradient is asked for", async (context) => {
    needsSubgroupTiles(context);
    const device = currentDevice();
    const inputs = { x: toGpu(x), weight: toGpu(weight) };
    const before = device.memory().tensors;
    await withWinograd(4, () =>
      scope(() => {
        conv2d(inputs.x, inputs.weight, { padding: 1 });
        expect(device.memory().tensors).toBe(before + 1);
      }),
    );
  });

  it.for(tiles)("takes batch norm's partial sums where tiles of %i fit the image", async (tile, context) => {
    needsSubgroupTiles(context);
    const image = randomArr([2, 8, 12, 4], 5);
    const kernel = randomArr([3, 3, 4, 8], 6);
    const { y, partials } = await withWinograd(tile, () => {
      return conv2d(toGpu(image), toGpu(kernel), { padding: 1, stats: true });
    });
    expect(partials).toMatchObject({ rowsPerTile: tile * tile, rows: 2 * 8 * 12 });
    const want = reference.conv2d(image, kernel, { padding: 1 });
    const { terms, ...accuracy } = winogradAccuracy(tile, "forward", 4);
    const how = { op: "winograd", shapes: { x: image.shape, weight: kernel.shape }, options: { tile }, ...accuracy };
    expectClose({ data: await y.data(), shape: y.shape }, want, { ...how, terms });
    await checkPartials(partials!, inTiles(want, tile), terms, how);
  });

  it("leaves the statistics to batch norm where it cuts tiles", async (context) => {
    needsSubgroupTiles(context);
    const stats = () => conv2d(toGpu(x), toGpu(weight), { padding: 1, stats: true }).partials;
    expect(await withWinograd(4, stats)).toBeNull();
    expect(await withWinograd(false, stats)).not.toBeNull();
  });
});
