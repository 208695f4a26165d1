// @ts-check
// The rungs of docs/kernels/convolution.md: a 3 x 3 convolution with stride 1 and padding 1, x [N,H,H,C], weight [3,3,C,K].
import { ceilDiv } from "./family.js";

/** @typedef {import("./family.js").Kit} Kit */
/** @typedef {import("./family.js").Size} Size */
/** @typedef {import("./family.js").Tensors} Tensors */
/** @typedef {import("./family.js").Family} Family */

/** Multiply-adds count as two; the taps outside of the image are counted too. @param {Size} size */
export const flops = ({ N, H, C, K }) => 2 * N * H * H * 9 * C * K;

/** @type {Pick<Family, "unit" | "software" | "hardware" | "small" | "title" | "work" | "inputs">} */
export const problem = {
  unit: "GFLOP/s",
  software: { N: 16, H: 16, C: 64, K: 64 },
  hardware: { N: 512, H: 32, C: 64, K: 64 },
  small: [
    { N: 1, H: 8, C: 16, K: 32 },
    { N: 2, H: 16, C: 32, K: 64 },
  ],
  title: ({ N, H, C, K }) => `3 x 3 convolution of [${N},${H},${H},${C}] to ${K} channels`,
  work: flops,
  inputs: ({ N, H, C, K }, random) => ({
    x: { shape: [N, H, H, C], data: random([N, H, H, C]) },
    weight: { shape: [3, 3, C, K], data: random([3, 3, C, K]) },
  }),
};

/**
 * The engine's convolution, with Winograd's algorithm and loads through textures as said.
 *
 * @param {boolean | 2 | 4} winograd @param {boolean} [texels] default: as the device would
 */
export const production =
  (winograd, texels) =>
  /** @param {Kit} kit @param {Size} _ @param {Tensors} t */
  ({ engine }, _, { x, weight }) => {
    const device = engine.currentDevice();
    const before = { winograd: device.winograd, texels: device.texels };
    Object.assign(device, { winograd, texels: texels ?? before.texels });
    try {
      return engine.conv2d(x, weight, { padding: 1 });
    } finally {
      Object.assign(device, before);
    }
  };

/** @param {"naive" | "vector" | "block" | "shared" | "broadcast"} name @param {(size: Size, lanes: number) => number} workgroups */
const direct =
  (name, workgroups) =>
  /** @param {Kit} kit @param {Size} size @param {Tensors} t */
  ({ engine, launch, ladder, lanes }, size, { x, weight }) => {
    const { N, H, C, K } = size;
    const width = name === "naive" ? 1 : 4;
    const y = engine.empty([N, H, H, K]);
    const launched = {
      bindings: { x, weight, y },
      params: { size: [N, H, H, C / width], K: K / width },
      workgroups: workgroups(size, lanes),
      flops: flops(size),
    };
    if (name === "broadcast") launch(ladder.conv2d.broadcast, { ...launched, constants: { LANES: lanes } });
    else launch(ladder.conv2d[name], launched);
    return y;
  };

/** @type {Family} */
export const conv2d = {
  name: "conv2d",
  page: "convolution.md",
  ...problem,
  rungs: [
    { name: "0-naive", run: direct("naive", ({ N, H, K }) => ceilDiv(N * H * H * K, 64)) },
    { name: "1-vector", run: direct("vector", ({ N, H, K }) => ceilDiv((N * H * H * K) / 4, 64)) },
    { name: "2-block", run: direct("block", ({ N, H, K }) => ceilDiv((N * H * H * K) / 16, 64)) },
    { name: "portable", production: true, family: "portable", run: production(false) },
    { name: "3-shared", after: "2-block", run: direct("shared", ({ N, H, K }) => ((N * H * H) / 32) * (K / 32)) },
    { name: "workgroup", production: true, family: "workgroup", run: production(false) },
    {
      name: "4-broadcast",
      after: "2-block",
      family: "subgroup",
      run: direct("broadcast", ({ N, H, K }, lanes) => ((N * H * H) / lanes) * (K / 4 / lanes)),
    },
    { name: "subgroup", production: true, family: "subgroup", run: production(false, false) },
    { name: "texels", production: true, family: "subgroup", run: production(false, true) },
  ],
};
