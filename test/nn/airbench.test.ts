import { beforeAll, describe, expect, it } from "vitest";
import { noGrad, scope } from "../../engine/index.ts";
import type { Airbench } from "../../nn/index.ts";
import {
  airbench94,
  airbench96,
  createModel,
  exportWeights,
  formatSummary,
  modelFromCheckpoint,
  readCheckpoint,
  summarize,
} from "../../nn/index.ts";
import { symmetricEigen } from "../../nn/symmetric-eigen.ts";
import { buildRun, chooseRecipe, exportInfo, SGD, Trainer, type Run, type RunSettings } from "../../training/index.ts";
import { preset } from "../../training/presets/index.ts";
import { testDevice, toGpu } from "../support/gpu.ts";
import { randomArr } from "../support/random.ts";
import { tinyTest, tinyTrain } from "../support/tiny-data.ts";
import { expectClose } from "../support/tolerance.ts";

beforeAll(testDevice);

describe("symmetricEigen", () => {
  it("finds what makes the matrix, largest first, at right angles", () => {
    const n = 12;
    const half = randomArr([n, n], 5).data;
    const matrix = Float64Array.from({ length: n * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let sum = 0;
      for (let k = 0; k < n; k++) sum += half[i * n + k] * half[j * n + k];
      return sum;
    });
    const { values, vectors } = symmetricEigen(matrix, n);
    for (let i = 0; i < n; i++) {
      if (i > 0) expect(values[i]).toBeLessThanOrEqual(values[i - 1]);
      for (let j = 0; j < n; j++) {
        const dot = vectors[i].reduce((sum, value, k) => sum + value * vectors[j][k], 0);
        expect(dot).toBeCloseTo(i === j ? 1 : 0, 12);
        const image = matrix.subarray(j * n, (j + 1) * n).reduce((sum, value, k) => sum + value * vectors[i][k], 0);
        expect(image).toBeCloseTo(values[i] * vectors[i][j], 10);
      }
    }
  });

  it("leaves a diagonal as it is, and takes zeros", () => {
    expect([...symmetricEigen([1, 0, 0, 0, 5, 0, 0, 0, 3], 3).values]).toEqual([5, 3, 1]);
    expect([...symmetricEigen(new Float64Array(4), 2).values]).toEqual([0, 0]);
  });
});

describe("airbench", () => {
  it.each([
    ["airbench94", 1.97],
    ["airbench95", 4.61],
    ["airbench96", 9.92],
  ])("%s has the published number of parameters, %d million", (name, millions) => {
    const model = createModel(name);
    expect((model.parameterCount() / 1e6).toFixed(2)).toBe(millions.toFixed(2));
    expect(formatSummary(summarize(model))).toContain(
      `Total params: ${model.parameterCount().toLocaleString("en-US")}`,
    );
    // 32 to 31 by the 2 x 2 filters, then halves, rounded down.
    const shapes = summarize(model).rows.map(({ outputShape }) => outputShape.join("x"));
    expect(shapes[0]).toBe("24x31x31");
    expect(shapes.filter((shape) => /x3x3$/.test(shape)).length).toBeGreaterThan(2);
    expect(shapes.at(-1)).toBe("10");
  });

  it("starts with filters that pass their channel on", async () => {
    using model = airbench94({ seed: 2 });
    using conv = model.group2.conv1;
    const weight = await conv.weight.data();
    const at = (tap: number, c: number, k: number): number => weight[(tap * 64 + c) * 256 + k];
    for (const c of [0, 7, 63]) {
      expect([at(4, c, c), at(4, c, (c + 1) % 64), at(3, c, c)]).toEqual([1, 0, 0]);
    }
    const free = Array.from({ length: 100 }, (_, i) => at(i % 9, i % 64, 64 + i));
    expect(Math.max(...free.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(64 * 9));
    expect(new Set(free).size).toBeGreaterThan(90);
  });

  it("whitens: the filters' answers to patches have no correlation and variance 1", async () => {
    using model = airbench94();
    using train = tinyTrain(60);
    const images = train.images(Array.from({ length: 60 }, (_, i) => i));
    model.whiten(await images.data(), 32, 32);
    await model.whitening.bias!.data();
    model.whitening.bias!.write(new Float32Array(24));
    const y = noGrad(() => scope(() => model.whitening.forward(images)));
    const values = await y.data();
    const rows = values.length / 24;
    const moment = (i: number, j: number): number => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += values[row * 24 + i] * values[row * 24 + j];
      return sum / rows;
    };
    // The last directions vary so little that the added 5e-4 weighs: their variance stays below 1.
    expect(moment(0, 0)).toBeCloseTo(1, 2);
    expect(moment(1, 1)).toBeCloseTo(1, 2);
    expect(Math.abs(moment(0, 1))).toBeLessThan(1e-3);
    expect(Math.abs(moment(2, 5))).toBeLessThan(1e-3);
    expect(moment(0, 12)).toBeCloseTo(-moment(0, 0), 6);
    for (const tensor of [images, y]) tensor.dispose();
  });

  it("trains a step by its preset: shifts fast, scales and whitening not at all", async () => {
    using train = tinyTrain(16);
    using model = createModel("airbench94", { seed: 1 }) as Airbench;
    const { hooks } = preset("airbench94");
    await hooks!.prepare(model, train);
    const before = await Promise.all(model.namedParameters().map(async ([name, p]) => [name, await p.data()] as const));
    using optimizer = new SGD(hooks!.groups(model, { lr: 0.01, weightDecay: 1e-3 }), {
      lr: 0.01,
      momentum: 0.85,
      nesterov: true,
    });
    expect(optimizer.groupLrs).toEqual([0.64, 0.01]);
    using trainer = new Trainer({ model, optimizer, batchSize: 16, ...hooks!.trainer(model) });
    scope(() => void trainer.step(train, trainer.order(train, 1), { epoch: 4, step: 0, steps: 10 }, null));
    const frozen: string[] = [];
    for (const [name, values] of before) {
      const after = await model
        .namedParameters()
        .find(([each]) => each === name)![1]
        .data();
      if (after.every((value, i) => value === values[i])) frozen.push(name);
    }
    expect(frozen.sort()).toEqual(
      [
        "whitening.weight",
        "whitening.bias",
        ...[1, 2, 3].flatMap((g) => [1, 2].map((n) => `group${g}.norm${n}.weight`)),
      ].sort(),
    );
  });

  it("whitens fresh weights by its preset, and leaves those of a file as they are, all of them where they are frozen", async () => {
    using train = tinyTrain(16);
    const settings: RunSettings = {
      ...chooseRecipe({ optimizer: "sgd", lr: 0.01 }),
      data: "shapes",
      model: "airbench94",
      stem: "cifar",
      imageSize: 32,
      classes: 10,
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
      epochs: 1,
      batchSize: 16,
      nesterov: true,
      labelSmoothing: 0,
      augment: "none",
      shuffle: true,
      dropLast: false,
      accumulate: 1,
      tta: "none",
      seed: 1,
      precision: "f32",
      freeze: false,
      preset: "airbench94",
    };
    const weights = (run: Run) => (run.model as Airbench).whitening.weight.data();
    using fresh = buildRun(settings);
    const random = await weights(fresh);
    await fresh.prepare(train);
    const whitened = await weights(fresh);
    expect(whitened).not.toEqual(random);

    const file = await exportWeights(fresh.model, exportInfo(settings, train));
    const init = { checkpoint: readCheckpoint(file, "a.safetensors"), path: "a.safetensors" };
    using other = tinyTest(16);
    using loaded = buildRun({ ...settings, seed: 2, freeze: true }, init);
    await loaded.prepare(other);
    expect(await weights(loaded)).toEqual(whitened);
    const { trainer, model } = loaded;
    scope(() => void trainer.step(other, trainer.order(other, 1), { epoch: 1, step: 0, steps: 10 }, null));
    const trained = model.namedParameters().filter(([, { requiresGrad }]) => requiresGrad);
    expect(trained.map(([name]) => name)).toEqual(["fc.weight"]);
  });

  it("comes back from a file", async () => {
    using model = airbench96({ classes: 3, seed: 4 });
    const info = { name: "airbench96", stem: "cifar", classes: 3, imageSize: 32 } as const;
    const file = await exportWeights(model, info);
    using copy = modelFromCheckpoint(readCheckpoint(file, "x.safetensors"), "x.safetensors");
    expect(copy.stages).toEqual(["group1", "group2", "group3"]);
    const x = toGpu(randomArr([2, 32, 32, 3], 3));
    const [a, b] = [model, copy].map((net) => noGrad(() => scope(() => net.eval().forward(x))));
    expectClose(await a.data(), await b.data(), { op: "copy", shapes: {}, kind: "exact" });
    for (const tensor of [x, a, b]) tensor.dispose();
  });

  it("refuses presets on other models", () => {
    const model = createModel("resnet8");
    expect(() => preset("airbench94").hooks!.trainer(model)).toThrow(
      /recipes for airbench94, 95 and 96, not for resnet8/,
    );
  });
});
