// @ts-check
// The rungs of docs/kernels/optimizer.md: SGD with momentum and weight decay over the parameters of a net, in place. Every second
// parameter is a batch norm's vector of 64 numbers, the others are convolutions' weights.
import { ceilDiv } from "./family.js";

const [LR, MOMENTUM, DECAY] = [0.01, 0.9, 5e-4];
const SMALL = 64;

/** @typedef {import("./family.js").Kit} Kit */
/** @typedef {import("./family.js").Size} Size */
/** @typedef {import("./family.js").Tensors} Tensors */

/** @param {Size} size */
const total = ({ layers, weights }) => layers * (weights + SMALL);

/** One dispatch for everything. @param {"flat" | "vector" | "several"} name @param {number} perInvocation */
const whole =
  (name, perInvocation) =>
  /** @param {Kit} kit @param {Size} size @param {Tensors} t */
  ({ launch, ladder }, { steps }, t) => {
    const vectors = name === "flat" ? t.weights.size : t.weights.size / 4;
    for (let step = 0; step < steps; step++)
      launch(ladder.optimizerStep[name], {
        bindings: { gradients: t.gradients, weights: t.weights, buffers: t.buffers },
        params: { size: vectors, lr: LR, momentum: MOMENTUM, decay: DECAY },
        workgroups: ceilDiv(vectors, 64 * perInvocation),
      });
    return t.weights;
  };

/** @type {import("./family.js").Family} */
export const optimizerStep = {
  name: "optimizer-step",
  page: "optimizer.md",
  unit: "GB/s",
  software: { layers: 31, weights: 9 * 64 * 64, steps: 1 },
  hardware: { layers: 31, weights: 9 * 200 * 200, steps: 1 },
  small: [
    { layers: 2, weights: 64, steps: 1 },
    { layers: 3, weights: 1024, steps: 3 },
  ],
  title: (size) => `${2 * size.layers} parameters, ${total(size)} numbers`,
  // Reads the gradient, reads and writes the weight and its momentum.
  work: (size) => 4 * 5 * total(size),
  inputs(size, random) {
    const n = total(size);
    return {
      weights: { shape: [n], data: random([n]) },
      gradients: { shape: [n], data: random([n]) },
      buffers: { shape: [n], data: random([n]) },
      blocks: { shape: [n / 64], data: new Uint32Array(n / 64), dtype: "u32" },
      skips: { shape: [4], data: new Uint32Array(4), dtype: "u32" },
    };
  },
  rungs: [
    {
      name: "0-per-parameter",
      run({ launch, ladder }, { layers, weights, steps }, t) {
        for (let parameter = 0; parameter < 2 * layers * steps; parameter++) {
          const layer = Math.floor(parameter / 2) % layers;
          const isSmall = parameter % 2 === 1;
          const size = isSmall ? SMALL : weights;
          launch(ladder.optimizerStep.perParameter, {
            bindings: { gradients: t.gradients, weights: t.weights, buffers: t.buffers },
            params: {
              first: layer * (weights + SMALL) + (isSmall ? weights : 0),
              size,
              lr: LR,
              momentum: MOMENTUM,
              decay: DECAY,
            },
            workgroups: ceilDiv(size, 64),
          });
        }
        return t.weights;
      },
    },
    { name: "1-flat", run: whole("flat", 1) },
    { name: "2-vector", run: whole("vector", 1) },
    { name: "3-several", run: whole("several", 4) },
    {
      name: "sgdStep()",
      production: true,
      run({ engine }, { steps }, { weights, gradients, buffers, blocks, skips }) {
        const flat = { weights, gradients, blocks, skips };
        for (let step = 0; step < steps; step++)
          engine.sgdStep(flat, buffers, { groups: [{ lr: LR, weightDecay: DECAY }], momentum: MOMENTUM });
        return weights;
      },
    },
  ],
};
