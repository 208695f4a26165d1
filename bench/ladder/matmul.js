// @ts-check
// The rungs of docs/kernels/matmul.md: y [M,N] = a [M,K] b [K,N]. `at` is a transposed: k outermost.
import { ceilDiv, transposed } from "./family.js";

/** @param {boolean} texels whether operands come out of textures */
const production =
  (texels) =>
  /** @param {import("./family.js").Kit} kit @param {import("./family.js").Size} _ @param {import("./family.js").Tensors} t */
  ({ engine }, _, { at, b }) => {
    const device = engine.currentDevice();
    const before = device.texels;
    device.texels = texels;
    try {
      return engine.matmul(at, b, { transposeA: true });
    } finally {
      device.texels = before;
    }
  };

/** @type {import("./family.js").Family} */
export const matmul = {
  name: "matmul",
  page: "matmul.md",
  unit: "GFLOP/s",
  software: { M: 512, N: 512, K: 512 },
  hardware: { M: 4096, N: 4096, K: 4096 },
  small: [
    { M: 32, N: 32, K: 16 },
    { M: 96, N: 64, K: 48 },
  ],
  title: ({ M, N, K }) => `[${M},${K}] x [${K},${N}]`,
  work: ({ M, N, K }) => 2 * M * N * K,
  inputs({ M, N, K }, random) {
    const a = random([M, K]);
    return {
      a: { shape: [M, K], data: a },
      at: { shape: [K, M], data: transposed(a, M, K) },
      b: { shape: [K, N], data: random([K, N]) },
    };
  },
  rungs: [
    {
      name: "0-naive",
      run({ engine, launch, ladder }, { M, N, K }, { a, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.naive, {
          bindings: { a, b, y },
          params: { rows: M, columns: N, depth: K },
          workgroups: ceilDiv(M * N, 64),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    {
      name: "1-vector",
      run({ engine, launch, ladder }, { M, N, K }, { a, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.vector, {
          bindings: { a, b, y },
          params: { rows: M, columns: N / 4, depth: K },
          workgroups: ceilDiv((M * N) / 4, 64),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    {
      name: "2-block",
      run({ engine, launch, ladder }, { M, N, K }, { at, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.block, {
          bindings: { a: at, b, y },
          params: { rows: M / 4, columns: N / 4, depth: K },
          workgroups: ceilDiv((M * N) / 16, 64),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    {
      name: "portable",
      production: true,
      family: "portable",
      run: ({ engine }, _, { at, b }) => engine.matmul(at, b, { transposeA: true }),
    },
    {
      name: "3-shared",
      after: "2-block",
      run({ engine, launch, ladder }, { M, N, K }, { at, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.shared, {
          bindings: { a: at, b, y },
          params: { rows: M / 4, columns: N / 4, depth: K },
          workgroups: (M / 32) * (N / 32),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    {
      name: "workgroup",
      production: true,
      family: "workgroup",
      run: ({ engine }, _, { at, b }) => engine.matmul(at, b, { transposeA: true }),
    },
    {
      name: "4-broadcast",
      after: "2-block",
      family: "subgroup",
      run({ engine, launch, ladder, lanes }, { M, N, K }, { at, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.broadcast, {
          bindings: { a: at, b, y },
          constants: { LANES: lanes },
          params: { rows: M, columns: N / 4, depth: K },
          workgroups: (M / lanes) * (N / 4 / lanes),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    {
      name: "5-tile",
      family: "subgroup",
      run({ engine, launch, ladder, lanes }, { M, N, K }, { at, b }) {
        const y = engine.empty([M, N]);
        launch(ladder.matmul.tile, {
          bindings: { a: at, b, y },
          constants: { LANES: lanes },
          params: { rows: M / 4, columns: N / 4, depth: K },
          workgroups: (M / 4 / lanes) * (N / 4 / lanes),
          flops: 2 * M * N * K,
        });
        return y;
      },
    },
    { name: "subgroup", production: true, family: "subgroup", run: production(false) },
    { name: "texels", production: true, family: "subgroup", run: production(true) },
  ],
};
