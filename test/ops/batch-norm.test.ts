import { beforeAll, describe, expect, it, vi } from "vitest";
import { unpackParams } from "../../engine/gpu/kernel.ts";
import { batchNorm, conv2d, empty, type KernelFamily, type Tensor } from "../../engine/index.ts";
import type { Arr } from "../reference/array.ts";
import { batchNorm as reference } from "../reference/batch-norm.ts";
import { conv2d as referenceConv } from "../reference/conv2d.ts";
import { checkOp } from "../support/check-op.ts";
import { testDevice, toGpu, withFamily } from "../support/gpu.ts";
import { seedAwayFromZero } from "../support/gradient.ts";
import { randomArr } from "../support/random.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

interface Case {
  shape: number[];
  training: boolean;
  add?: boolean;
  relu?: boolean;
}

const cases: Case[] = [
  { shape: [2, 3, 3, 4], training: true },
  { shape: [2, 3, 3, 4], training: false },
  { shape: [33, 8], training: true, relu: true },
  { shape: [31, 5], training: true, add: true },
  { shape: [2, 4, 4, 8], training: true, add: true, relu: true },
  { shape: [2, 3, 2, 3], training: true, relu: true },
  { shape: [3, 3, 3, 4], training: false, add: true, relu: true },
  { shape: [2, 7], training: true },
];

/** Inputs of a case, drawn so that nothing lies near the relu's kink. */
function inputsOf({ shape, training, add, relu }: Case) {
  const C = shape.at(-1)!;
  const draw = (seed: number) => ({
    x: randomArr(shape, seed, { min: -2, max: 3 }),
    weight: randomArr([C], seed + 1, { min: 0.5, max: 1.5 }),
    bias: randomArr([C], seed + 2),
    ...(add ? { add: randomArr(shape, seed + 3) } : {}),
  });
  const running = { runningMean: randomArr([C], 7), runningVar: randomArr([C], 8, { min: 0.5, max: 2 }) };
  const plain = (seed: number): Arr => {
    const { x, weight, bias, add } = draw(seed) as ReturnType<typeof draw> & { add?: Arr };
    return reference(x, weight, bias, { training, ...running, ...(add ? { add } : {}) }).y;
  };
  return { inputs: draw(relu ? seedAwayFromZero(plain, 100) : 100), running };
}

describe("batchNorm", () => {
  async function check(test: Case): Promise<void> {
    const { inputs, running } = inputsOf(test);
    const { training, relu = false } = test;
    const rows = inputs.x.data.length / test.shape.at(-1)!;
    await checkOp({
      op: "batchNorm",
      inputs,
      run: (x: Tensor, weight: Tensor, bias: Tensor, add?: Tensor) =>
        batchNorm(x, {
          weight,
          bias,
          add,
          relu,
          training,
          runningMean: toGpu(running.runningMean),
          runningVar: toGpu(running.runningVar),
        }),
      reference: (x, weight, bias, add) =>
        reference(x, weight, bias, { training, relu, ...running, ...(add ? { add } : {}) }).y,
      forward: { terms: rows },
      // The gradient multiplies by 1 / sigma and cancels sums over the rows.
      gradient: (_name, dy) => ({
        terms: rows * 4,
        scale: 2 * dy.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) * Math.sqrt(rows),
      }),
    });
  }

  it.each(cases)("forward and gradients: %o", check);

  // Whole turns of 8 rows and less than that, with every flag.
  const turns: Case[] = [
    { shape: [64, 4], training: true, add: true, relu: true },
    { shape: [61, 4], training: true, add: true, relu: true },
    { shape: [61, 4], training: true, relu: true },
    { shape: [59, 3], training: true },
    { shape: [8, 4], training: false, add: true },
  ];
  it.each(turns)("forward and gradients of the workgroup family: %o", (test) =>
    withFamily("workgroup", () => check(test)),
  );

  async function checkMany(rows: number, C: number): Promise<void> {
    const shape = [rows, C];
    const [x, dy] = [randomArr(shape, 1, { min: -2, max: 3 }), randomArr(shape, 2)];
    const [weight, bias] = [randomArr([C], 3, { min: 0.5, max: 1.5 }), randomArr([C], 4)];
    const running = { runningMean: randomArr([C], 7), runningVar: randomArr([C], 8, { min: 0.5, max: 2 }) };
    const inputs = [x, weight, bias].map((each) => toGpu(each, { requiresGrad: true }));
    const [runningMean, runningVar] = [toGpu(running.runningMean), toGpu(running.runningVar)];
    const y = batchNorm(inputs[0], { weight: inputs[1], bias: inputs[2], training: true, runningMean, runningVar });
    y.backward(toGpu(dy));
    const want = reference(x, weight, bias, { training: true, ...running });
    const how = { shapes: { x: shape }, terms: shape[0] };
    expectClose(await y.data(), want.y, { op: "batchNorm", ...how });
    expectClose(await runningVar.data(), want.runningVar, { op: "running variance", ...how });
    const dx = new Float64Array(x.data.length);
    for (let c = 0; c < C; c++) {
      const column = (values: ArrayLike<number>): number[] =>
        Array.from({ length: shape[0] }, (_, i) => values[i * C + c]);
      const mean = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
      const normal = column(want.y.data).map((v) => (v - bias.data[c]) / weight.data[c]);
      const [given, center] = [column(dy.data), mean(column(x.data))];
      const inverse = 1 / Math.sqrt(mean(column(x.data).map((v) => (v - center) ** 2)) + 1e-5);
      const products = given.map((v, i) => v * normal[i]);
      const [level, tilt] = [mean(given), mean(products)];
      given.forEach((v, i) => (dx[i * C + c] = weight.data[c] * inverse * (v - level - normal[i] * tilt)));
      const sums = { op: `gradients of weight and bias ${c}`, ...how, scale: shape[0] ** 0.5 };
      const got = await Promise.all([inputs[1].grad!.data(), inputs[2].grad!.data()]);
      expectClose(got.map((values) => values[c]), { shape: [2], data: [tilt * shape[0], level * shape[0]] }, sums); // prettier-ignore
    }
    expectClose(await inputs[0].grad!.data(), { shape, data: [...dx] }, { op: "batchNorm dx", ...how });
  }

  // Tiles are merged before the last pass then, the last 32 of them not whole.
  it.each([4, 1])("more than 4,096 tiles of rows, %i channels", (C) => checkMany(4097 * 32 + 5, C));

  // Tiles of 8, 16 and 32 rows, more tiles than a workgroup takes in a turn, and such as are merged before.
  it.each([
    [2051, 4],
    [5003, 4],
    [16_003, 4],
    [33_003, 4],
    [33_003, 1],
  ])(
    // prettier-ignore
    "%i rows of the workgroup family, %i channels",
    (rows, C) => withFamily("workgroup", () => checkMany(rows, C)),
  );

  /** What a forward and backward pass over zeros dispatches: nothing runs. */
  async function dispatchesOf(family: KernelFamily, shape: number[], { add = false, relu = false } = {}) {
    const encode = vi.spyOn(await testDevice(), "encode").mockImplementation(() => {});
    const vector = () => empty([shape.at(-1)!]);
    const options = { weight: vector(), bias: vector(), runningMean: vector(), runningVar: vector(), training: true };
    const x = empty(shape);
    x.requiresGrad = true;
    try {
      await withFamily(family, () =>
        batchNorm(x, { ...options, add: add ? empty(shape) : undefined, relu }).backward(empty(shape)),
      );
      return encode.mock.calls.map(([{ kernel, params }]) => ({
        name: kernel.source.name,
        label: kernel.label,
        params: unpackParams(kernel.source, params!),
      }));
    } finally {
      encode.mockRestore();
    }
  }

  // [rows, channels], rows in a tile, and whether tiles are merged before the last pass: no more often than in tiles of 32.
  it.each<[number[], number, boolean]>([
    [[2048, 512], 8, false],
    [[4096, 256], 8, false],
    [[8192, 256], 16, false],
    [[16_384, 4], 32, false],
    [[16_385, 4], 8, true],
    [[32_768, 128], 16, true],
    [[131_072, 64], 32, true],
  ])("%j is summed in tiles of %i rows on real GPUs, merged: %s", async (shape, rows, merged) => {
    const dispatches = await dispatchesOf("workgroup", shape);
    const sums = dispatches.filter(({ name }) => name.endsWith("sums"));
    expect(sums.map(({ params }) => params.rows_per_tile)).toEqual([[rows], [rows]]);
    expect(dispatches.filter(({ name }) => name === "batch-norm/merge")).toHaveLength(merged ? 2 : 0);
    const statistics = dispatches.find(({ name }) => name === "batch-norm/statistics")!;
    expect(statistics.params.rows_per_tile).toEqual([merged ? 32 * rows : rows]);
  });

  it("has a pipeline for each flag on real GPUs, and one for all on software GPUs", async () => {
    const flags = [{}, { relu: true }, { add: true }, { add: true, relu: true }];
    const labels = async (family: KernelFamily): Promise<string[]> => {
      const all = [];
      for (const flag of flags) all.push(...(await dispatchesOf(family, [40, 4], flag)));
      return [...new Set(all.map(({ label }) => label))].sort();
    };
    const names = ["apply", "gradient-apply", "gradient-statistics", "gradient-sums", "statistics", "sums"];
    expect(await labels("subgroup")).toEqual(names.map((name) => `batch-norm/${name}`));
    expect(await labels("portable")).toEqual(await labels("subgroup"));
    expect(await labels("workgroup")).toEqual([
      "batch-norm/apply {TURN=8 adds=false relu=false}",
      "batch-norm/apply {TURN=8 adds=false relu=true}",
      "batch-norm/apply {TURN=8 adds=true relu=false}",
      "batch-norm/apply {TURN=8 adds=true relu=true}",
      "batch-norm/gradient-apply {TURN=8 relu=false}",
      "batch-norm/gradient-apply {TURN=8 relu=true}",
      "batch-norm/gradient-statistics {TURN=4 GROUP=8}",
      "batch-norm/gradient-sums {TURN=8 relu=false writes_masked=false}",
      "batch-norm/gradient-sums {TURN=8 relu=true writes_masked=false}",
      "batch-norm/gradient-sums {TURN=8 relu=true writes_masked=true}",
      "batch-norm/statistics {TURN=4 GROUP=8}",
      "batch-norm/sums {TURN=8}",
    ]);
  });

  it("moves the running statistics by PyTorch's rule over two batches", async () => {
    const C = 6;
    const [weight, bias] = [randomArr([C], 1), randomArr([C], 2)];
    let [runningMean, runningVar] = [randomArr([C], 3), randomArr([C], 4, { min: 1, max: 2 })];
    const [mean, variance] = [toGpu(runningMean), toGpu(runningVar)];
    for (const seed of [10, 20]) {
      const x = randomArr([4, 5, 3, C], seed, { min: -1, max: 2 });
      const want = reference(x, weight, bias, { training: true, runningMean, runningVar, momentum: 0.3 });
      batchNorm(toGpu(x), {
        weight: toGpu(weight),
        bias: toGpu(bias),
        training: true,
        runningMean: mean,
        runningVar: variance,
        momentum: 0.3,
      });
      ({ runningMean, runningVar } = want);
    }
    const shapes = { x: [4, 5, 3, C] };
    expectClose(await mean.data(), runningMean, { op: "running mean", shapes, terms: 60 });
    expectClose(await variance.data(), runningVar, { op: "running variance", shapes, terms: 60 });
  });

  it.each([4, 5])("makes of a constant channel its bias, and its gradient that of a shift (%i channels)", async (C) => {
    const shape = [40, C];
    const constant = 0.3;
    const [x, dy] = [randomArr(shape, 1), randomArr(shape, 2)];
    for (let i = 1; i < x.data.length; i += C) x.data[i] = constant;
    const [weight, bias] = [randomArr([C], 3, { min: 0.5, max: 1.5 }), randomArr([C], 4)];
    const [mean, variance] = [randomArr([C], 5), randomArr([C], 6, { min: 1, max: 2 })];
    const inputs = [x, weight, bias].map((each) => toGpu(each, { requiresGrad: true }));
    const running = { runningMean: toGpu(mean), runningVar: toGpu(variance) };
    const y = batchNorm(inputs[0], { weight: inputs[1], bias: inputs[2], training: true, ...running });
    y.backward(toGpu(dy));
    const column = (values: ArrayLike<number>): number[] => Array.from({ length: 40 }, (_, i) => values[i * C + 1]);
    const slope = weight.data[1] / Math.sqrt(1e-5);
    const given = column(dy.data);
    const total = given.reduce((sum, value) => sum + value);
    const how = { shapes: { x: shape }, terms: 40 };
    // x and its mean are known to eps * 0.3 each.
    const scale = constant * slope;
    const level = given.map(() => bias.data[1]);
    expectClose(column(await y.data()), level, { op: "batchNorm", ...how, scale });
    const centred = given.map((value) => slope * (value - total / 40));
    expectClose(column(await inputs[0].grad!.data()), centred, { op: "batchNorm dx", ...how });
    const [dweight, dbias] = [await inputs[1].grad!.data(), await inputs[2].grad!.data()];
    expectClose([dweight[1]], [0], { op: "batchNorm dweight", ...how, scale: scale * Math.sqrt(40) });
    expectClose([dbias[1]], [total], { op: "batchNorm dbias", ...how, scale: Math.sqrt(40) });
    expectClose([(await running.runningVar.data())[1]], [0.9 * variance.data[1]], { op: "running variance", ...how });
  });

  it("keeps its precision where the mean is large against the deviation", async () => {
    const [shape, C] = [[70, 4], 4];
    const x = randomArr(shape, 5, { min: 1000, max: 1001 });
    const [weight, bias] = [randomArr([C], 1), randomArr([C], 2)];
    const running = { runningMean: randomArr([C], 3), runningVar: randomArr([C], 4, { min: 1, max: 2 }) };
    const want = reference(x, weight, bias, { training: true, ...running }).y;
    const y = batchNorm(toGpu(x), {
      weight: toGpu(weight),
      bias: toGpu(bias),
      training: true,
      runningMean: toGpu(running.runningMean),
      runningVar: toGpu(running.runningVar),
    });
    // x itself is only known to eps * 1000, and the result divides by a deviation of about 0.3.
    expectClose(await y.data(), want, { op: "batchNorm", shapes: { x: shape }, terms: 4, scale: 1000 / 0.3 });
  });

  it.each([3, 4])(
    "uses the convolution's partial sums: the result is that of summing x again (%i images)",
    async (N) => {
      const x = randomArr([N, 5, 5, 4], 1);
      const kernel = randomArr([3, 3, 4, 32], 2);
      const [weight, bias] = [randomArr([32], 3), randomArr([32], 4)];
      const running = { runningMean: randomArr([32], 5), runningVar: randomArr([32], 6, { min: 1, max: 2 }) };
      const { y, partials } = conv2d(toGpu(x), toGpu(kernel), { padding: 1, stats: true });
      const gpu = { runningMean: toGpu(running.runningMean), runningVar: toGpu(running.runningVar) };
      const normed = batchNorm(y, { weight: toGpu(weight), bias: toGpu(bias), training: true, ...gpu, partials });
      const want = reference(referenceConv(x, kernel, { padding: 1 }), weight, bias, { training: true, ...running });
      const shapes = { x: x.shape, weight: kernel.shape };
      expect(partials).not.toBeNull();
      expectClose(await normed.data(), want.y, { op: "conv + batchNorm", shapes, terms: 36 + N * 25 });
      expectClose(await gpu.runningVar.data(), want.runningVar, { op: "running variance", shapes, terms: 36 + N * 25 });
    },
  );

  it("frees the gradients of frozen weights, which its kernels yield unasked", async () => {
    const device = await testDevice();
    const vector = () => toGpu(randomArr([4], 1, { min: 1, max: 2 }));
    const options = { weight: vector(), bias: vector(), runningMean: vector(), runningVar: vector(), training: true };
    const x = toGpu(randomArr([5, 4], 2), { requiresGrad: true });
    const dy = toGpu(randomArr([5, 4], 3));
    const y = batchNorm(x, { ...options, add: toGpu(randomArr([5, 4], 4)), relu: true });
    const before = device.memory().tensors;
    y.backward(dy);
    expect(x.grad).not.toBeNull();
    expect(device.memory().tensors).toBe(before + 1);
  });

  it("refuses what cannot be normalised, naming the shapes", () => {
    const vector = () => toGpu(randomArr([4], 1));
    const options = { weight: vector(), bias: vector(), runningMean: vector(), runningVar: vector(), training: true };
    expect(() => batchNorm(toGpu(randomArr([2, 3], 1)), options)).toThrow(
      "batchNorm: weight must be f32 [3] for x [2,3], got Tensor f32[4]",
    );
    expect(() => batchNorm(toGpu(randomArr([2, 4], 1)), { ...options, bias: empty([4], "f16") })).toThrow(
      "batchNorm: bias must be f32 [4] for x [2,4], got Tensor f16[4]",
    );
    expect(() => batchNorm(toGpu(randomArr([1, 4], 1)), options)).toThrow(
      "training needs more than one value per channel, x is [1,4]",
    );
    expect(() => batchNorm(empty([5, 4], "u32"), options)).toThrow(
      "batchNorm: x must be f32 or f16 [...,C] with elements, got Tensor u32[5,4]",
    );
    const partials = { means: empty([1, 2, 4]), rowsPerTile: 32, rows: 6 };
    expect(() => batchNorm(toGpu(randomArr([5, 4], 1)), { ...options, partials })).toThrow(
      "batchNorm: partials [1,2,4] of 6 rows do not belong to x [5,4]",
    );
  });
});
