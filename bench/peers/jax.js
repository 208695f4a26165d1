// The step in jax-js: one function of (weights, moments), differentiated and compiled by `jit`.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { installWebGpu } from "./dawn.js";
import { CLASSES, EPSILON, forward, IMAGE_SIZE, LEARNING_RATE, makeWeights, MOMENTUM } from "./resnet18.js";
import { serve } from "./serve.js";

await serve(async ({ batchSize, napping }) => {
  installWebGpu({ napping });
  const jax = await import("@jax-js/jax");
  const { blockUntilReady, defaultDevice, init, numpy: np } = jax;
  await init("webgpu");
  defaultDevice("webgpu");

  const { structure, values } = weights(jax);
  const step = trainingStep(jax, structure, batchSize);
  const images = random(jax, 99)([batchSize, 3, IMAGE_SIZE, IMAGE_SIZE], 1);
  const labels = np.array(oneHot(batchSize)).reshape([batchSize, CLASSES]);
  const parameters = values.reduce((sum, { size }) => sum + size, 0);
  let moments = values.map(({ shape }) => np.zeros(shape));
  let current = values;
  return {
    version: version("@jax-js/jax"),
    parameters,
    step: async () => {
      let loss;
      [loss, current, moments] = step(current, moments, images.ref, labels.ref);
      await blockUntilReady(current);
      return (await loss.data())[0];
    },
  };
});

/** `.ref` counts a use: arrays of jax-js are consumed by what uses them. */
function trainingStep({ jit, lax, nn, numpy: np, valueAndGrad }, structure, batchSize) {
  const loss = (values, images, labels) => {
    const use = (i) => values[i].ref;
    const convNorm = (x, { conv, norm: [scale, shift] }, stride) => {
      const padding = values[conv].shape[2] === 3 ? 1 : 0;
      const y = lax.convGeneralDilated(
        x,
        use(conv),
        [stride, stride],
        [
          [padding, padding],
          [padding, padding],
        ],
      );
      const channels = [1, y.shape[1], 1, 1];
      const mean = y.ref.mean([0, 2, 3], { keepdims: true });
      const centred = y.sub(mean);
      const variance = np.square(centred.ref).mean([0, 2, 3], { keepdims: true });
      const normal = centred.mul(np.reciprocal(np.sqrt(variance.add(EPSILON))));
      return normal.mul(use(scale).reshape(channels)).add(use(shift).reshape(channels));
    };
    const logits = forward(structure, images, {
      convNorm,
      relu: nn.relu,
      add: (a, b) => a.add(b),
      twice: (x) => [x.ref, x],
      classify: (x, [weight, bias]) => np.matmul(x.mean([2, 3]), use(weight)).add(use(bias)),
    });
    for (const value of values) value.dispose();
    return nn
      .logSoftmax(logits, -1)
      .mul(labels)
      .sum()
      .mul(-1 / batchSize);
  };
  return jit((values, moments, images, labels) => {
    const copies = values.map((value) => value.ref);
    const [value, gradients] = valueAndGrad(loss)(copies, images, labels);
    const nextMoments = moments.map((moment, i) => moment.mul(MOMENTUM).add(gradients[i]));
    const next = values.map((weight, i) => weight.sub(nextMoments[i].ref.mul(LEARNING_RATE)));
    return [value, next, nextMoments];
  });
}

/** The weights as a list, and the net with their places in it. */
function weights(jax) {
  const values = [];
  const draw = random(jax, 1);
  const add = (value) => values.push(value) - 1;
  const { numpy: np } = jax;
  const structure = makeWeights({
    conv: (inputs, outputs, size, deviation) => add(draw([outputs, inputs, size, size], deviation)),
    norm: (channels) => [add(np.ones([channels])), add(np.zeros([channels]))],
    dense: (inputs, outputs, deviation) => [add(draw([inputs, outputs], deviation)), add(np.zeros([outputs]))],
  });
  return { structure, values };
}

function random({ random: { key, normal } }, seed) {
  return (shape, deviation) => normal(key(seed++), shape).mul(deviation);
}

function oneHot(count) {
  const rows = new Float32Array(count * CLASSES);
  for (let i = 0; i < count; i++) rows[i * CLASSES + (i % CLASSES)] = 1;
  return rows;
}

function version(name) {
  const entry = createRequire(import.meta.url).resolve(name);
  return JSON.parse(readFileSync(new URL("../package.json", `file://${entry}`), "utf8")).version;
}
