// @ts-check
// The rungs of docs/kernels/winograd.md: the convolution of conv2d.js, whose operations are counted as if it were computed directly.
import { flops, problem, production } from "./conv2d.js";
import { ceilDiv } from "./family.js";

/** @type {import("./family.js").Family} */
export const winograd = {
  name: "winograd",
  page: "winograd.md",
  ...problem,
  rungs: [
    {
      name: "0-one-kernel",
      run({ engine, launch, ladder }, size, { x, weight }) {
        const { N, H, C, K } = size;
        const y = engine.empty([N, H, H, K]);
        launch(ladder.winograd.oneKernel, {
          bindings: { x, weight, y },
          params: { size: [N, H, H, C], K },
          workgroups: ceilDiv((N * H * H * K) / 4, 64),
          flops: flops(size),
        });
        return y;
      },
    },
    {
      name: "1-split",
      run({ engine, launch, ladder }, { N, H, C, K }, { x, weight }) {
        const tiles = (N * H * H) / 4;
        const [v, u, m] = [engine.empty([16, tiles, C]), engine.empty([16, C, K]), engine.empty([16, tiles, K])];
        const y = engine.empty([N, H, H, K]);
        launch(ladder.winograd.splitInput, {
          bindings: { x, v },
          params: { size: [N, H, H, C / 4] },
          workgroups: ceilDiv((tiles * C) / 4, 64),
        });
        launch(ladder.winograd.splitWeight, {
          bindings: { weight, u },
          params: { vectors: (C * K) / 4 },
          workgroups: ceilDiv((C * K) / 4, 64),
        });
        launch(ladder.winograd.splitMultiply, {
          bindings: { v, u, m },
          params: { rows: tiles, columns: K / 4, depth: C / 4 },
          workgroups: ceilDiv(tiles * K, 64),
          flops: 2 * 16 * tiles * C * K,
        });
        launch(ladder.winograd.splitOutput, {
          bindings: { m, y },
          params: { size: [N, H, H, K / 4] },
          workgroups: ceilDiv((tiles * K) / 4, 64),
        });
        return y;
      },
    },
    { name: "F(2x2)", production: true, run: production(2) },
    { name: "F(4x4)", production: true, run: production(4) },
    { name: "direct", after: "1-split", production: true, run: production(false) },
  ],
};
