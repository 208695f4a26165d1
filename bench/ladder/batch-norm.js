// @ts-check
// The rungs of docs/kernels/batch-norm.md: y = relu((x - mean) / sqrt(variance + eps) * weight + bias) of x [rows, C], with the
// mean and variance of x itself.
import { ceilDiv } from "./family.js";

const EPS = 1e-5;
const TILE = 32;
const ROWS = 8;

/** @typedef {import("./family.js").Kit} Kit */
/** @typedef {import("./family.js").Size} Size */
/** @typedef {import("./family.js").Tensors} Tensors */

/** The statistics of rungs 1 and up: tiles, then their merger. @param {Kit} kit @param {Size} size @param {Tensors} t @param {1 | 4} width */
function statistics({ engine, launch, ladder }, { rows, C }, { x }, width) {
  const tiles = ceilDiv(rows, TILE);
  const columns = C / width;
  const constants = { Vector: width === 4 ? "vec4f" : "f32" };
  const [partials, mean, inverse] = [engine.empty([tiles, 2, C]), engine.empty([C]), engine.empty([C])];
  launch(ladder.batchNorm.partialsSums, {
    bindings: { x, partials },
    constants,
    params: { rows, columns },
    workgroups: ceilDiv(tiles * columns, 64),
  });
  launch(ladder.batchNorm.partialsMerge, {
    bindings: { partials, mean, inverse },
    constants,
    params: { rows, columns, tiles, rows_per_tile: TILE, eps: EPS },
    workgroups: columns,
  });
  return { mean, inverse };
}

/** The normalisation and relu of rungs 0 and 1. @param {Kit} kit @param {Size} size @param {Tensors} t */
function applyScalar({ engine, launch, ladder }, { rows, C }, { x, mean, inverse, weight, bias }) {
  const size = rows * C;
  const [normal, y] = [engine.empty([rows, C]), engine.empty([rows, C])];
  launch(ladder.batchNorm.naiveNormalize, {
    bindings: { x, mean, inverse, weight, bias, y: normal },
    params: { size, columns: C },
    workgroups: ceilDiv(size, 64),
  });
  launch(ladder.batchNorm.naiveRelu, { bindings: { x: normal, y }, params: { size }, workgroups: ceilDiv(size, 64) });
  return y;
}

/** @param {Kit} kit @param {Size} size @param {Tensors} t @param {"vectorNormalize" | "fused"} name */
function applyVector({ engine, launch, ladder }, { rows, C }, { x, mean, inverse, weight, bias }, name) {
  const y = engine.empty([rows, C]);
  launch(ladder.batchNorm[name], {
    bindings: { x, mean, inverse, weight, bias, y },
    params: { rows, columns: C / 4 },
    workgroups: ceilDiv(ceilDiv(rows, ROWS) * (C / 4), 64),
  });
  return y;
}

/** @type {import("./family.js").Family} */
export const batchNorm = {
  name: "batch-norm",
  page: "batch-norm.md",
  unit: "GB/s",
  software: { rows: 32 * 32 * 32, C: 64 },
  hardware: { rows: 512 * 32 * 32, C: 64 },
  small: [
    { rows: 35, C: 4 },
    { rows: 2100, C: 12 },
  ],
  title: ({ rows, C }) => `relu of batch norm of [${rows},${C}]`,
  // Reads x for the statistics, and again to write y.
  work: ({ rows, C }) => 4 * 3 * rows * C,
  inputs: ({ rows, C }, random) => ({
    x: { shape: [rows, C], data: random([rows, C]) },
    weight: { shape: [C], data: random([C]) },
    bias: { shape: [C], data: random([C]) },
    running_mean: { shape: [C], data: new Float32Array(C) },
    running_var: { shape: [C], data: new Float32Array(C).fill(1) },
  }),
  rungs: [
    {
      name: "0-naive",
      run(kit, size, t) {
        const { rows, C } = size;
        const [mean, inverse] = [kit.engine.empty([C]), kit.engine.empty([C])];
        kit.launch(kit.ladder.batchNorm.naiveStatistics, {
          bindings: { x: t.x, mean, inverse },
          params: { rows, columns: C, eps: EPS },
          workgroups: ceilDiv(C, 64),
        });
        return applyScalar(kit, size, { ...t, mean, inverse });
      },
    },
    { name: "1-partials", run: (kit, size, t) => applyScalar(kit, size, { ...t, ...statistics(kit, size, t, 1) }) },
    {
      name: "2-vector",
      run(kit, size, t) {
        const normal = applyVector(kit, size, { ...t, ...statistics(kit, size, t, 4) }, "vectorNormalize");
        const y = kit.engine.empty(normal.shape);
        kit.launch(kit.ladder.batchNorm.vectorRelu, {
          bindings: { x: normal, y },
          params: { size: y.size / 4 },
          workgroups: ceilDiv(y.size / 16, 64),
        });
        return y;
      },
    },
    {
      name: "3-fused",
      run: (kit, size, t) => applyVector(kit, size, { ...t, ...statistics(kit, size, t, 4) }, "fused"),
    },
    {
      name: "batchNorm()",
      production: true,
      run: ({ engine }, _, { x, weight, bias, running_mean: runningMean, running_var: runningVar }) =>
        engine.batchNorm(x, { weight, bias, runningMean, runningVar, training: true, relu: true, eps: EPS }),
    },
  ],
};
