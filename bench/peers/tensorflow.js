// The step in TensorFlow.js with its WebGPU backend.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { installWebGpu } from "./dawn.js";
import { CLASSES, EPSILON, forward, IMAGE_SIZE, LEARNING_RATE, makeWeights, MOMENTUM } from "./resnet18.js";
import { serve } from "./serve.js";

await serve(async ({ batchSize, napping }) => {
  installWebGpu({ napping });
  const tf = await loadTensorFlow();
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js: its WebGPU backend does not start");
  await tf.ready();

  const { structure, variables } = weights(tf);
  const images = tf.randomNormal([batchSize, IMAGE_SIZE, IMAGE_SIZE, 3], 0, 1, "float32", 99);
  const classes = Array.from({ length: batchSize }, (_, i) => i % CLASSES);
  const labels = tf.oneHot(tf.tensor1d(classes, "int32"), CLASSES);
  const optimizer = tf.train.momentum(LEARNING_RATE, MOMENTUM);
  const lossOf = () => tf.losses.softmaxCrossEntropy(labels, net(tf, structure, images));
  return {
    version: tf.version_core,
    parameters: variables.reduce((sum, { size }) => sum + size, 0),
    step: async () => {
      const loss = optimizer.minimize(lossOf, true);
      const [value] = await loss.data();
      loss.dispose();
      return value;
    },
  };
});

/**
 * Its modules for browsers cannot be loaded by Node unbundled (their imports lack file extensions), and its bundle for Node lacks
 * gradients.
 */
async function loadTensorFlow() {
  const outfile = fileURLToPath(new URL("node_modules/.cache/tensorflow.mjs", import.meta.url));
  await build({
    stdin: {
      contents: `export * from "@tensorflow/tfjs-core";
        import "@tensorflow/tfjs-core/dist/register_all_gradients";
        import "@tensorflow/tfjs-backend-webgpu";`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    outfile,
    logLevel: "error",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return import(outfile);
}

function net(tf, structure, images) {
  const convNorm = (x, { conv, norm: { scale, shift } }, stride) => {
    const y = tf.conv2d(x, conv, stride, "same");
    const centred = tf.sub(y, tf.mean(y, [0, 1, 2]));
    const variance = tf.mean(tf.square(centred), [0, 1, 2]);
    return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, EPSILON))), scale), shift);
  };
  return forward(structure, images, {
    convNorm,
    relu: tf.relu,
    add: tf.add,
    twice: (x) => [x, x],
    classify: (x, { weight, bias }) => tf.add(tf.matMul(tf.mean(x, [1, 2]), weight), bias),
  });
}

function weights(tf) {
  const variables = [];
  let seed = 1;
  const add = (value) => {
    variables.push(tf.variable(value));
    return variables.at(-1);
  };
  const draw = (shape, deviation) => add(tf.randomNormal(shape, 0, deviation, "float32", seed++));
  const structure = makeWeights({
    conv: (inputs, outputs, size, deviation) => draw([size, size, inputs, outputs], deviation),
    norm: (channels) => ({ scale: add(tf.ones([channels])), shift: add(tf.zeros([channels])) }),
    dense: (inputs, outputs, deviation) => ({
      weight: draw([inputs, outputs], deviation),
      bias: add(tf.zeros([outputs])),
    }),
  });
  return { structure, variables };
}
