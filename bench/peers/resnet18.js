// What every peer trains: ResNet-18 for images of 32 x 32 pixels, as Kiln's `resnet18` is built.

/** Of all weights with ten classes: a peer with another number trains another net. */
export const PARAMETERS = 11_173_962;
export const CLASSES = 10;
export const IMAGE_SIZE = 32;
export const LEARNING_RATE = 0.01;
export const MOMENTUM = 0.9;
/** Added to the variances of batch norm. */
export const EPSILON = 1e-5;

/** Inputs, outputs and stride of the eight residual blocks. */
export const BLOCKS = [64, 128, 256, 512].flatMap((width, stage) => [
  { inputs: stage === 0 ? 64 : width / 2, outputs: width, stride: stage === 0 ? 1 : 2 },
  { inputs: width, outputs: width, stride: 1 },
]);

/**
 * Makes the weights.
 *
 * @param {{ conv: Function, norm: Function, dense: Function }} make creates one layer's weights:
 *   `conv(inputs, outputs, size, deviation)`, `norm(channels)`, `dense(inputs, outputs, deviation)`
 */
export function makeWeights({ conv, norm, dense }) {
  // He et al.: the variance of what a layer passes back stays the same.
  const convNorm = (inputs, outputs, size) => ({
    conv: conv(inputs, outputs, size, Math.sqrt(2 / (size * size * outputs))),
    norm: norm(outputs),
  });
  return {
    stem: convNorm(3, 64, 3),
    blocks: BLOCKS.map(({ inputs, outputs, stride }) => ({
      stride,
      first: convNorm(inputs, outputs, 3),
      second: convNorm(outputs, outputs, 3),
      shortcut: inputs === outputs ? null : convNorm(inputs, outputs, 1),
    })),
    dense: dense(512, CLASSES, 0.05),
  };
}

/**
 * The net in terms of a library's operations.
 *
 * @param {ReturnType<typeof makeWeights>} weights
 * @param {{ convNorm: Function, relu: Function, add: Function, twice: Function, classify: Function }} ops `twice(x)` gives a
 *   reference to x for each of its two uses, `classify(x, dense)` is the mean over the pixels and the last layer
 */
export function forward(weights, images, { convNorm, relu, add, twice, classify }) {
  let x = relu(convNorm(images, weights.stem, 1));
  for (const { stride, first, second, shortcut } of weights.blocks) {
    const [left, right] = twice(x);
    const inner = convNorm(relu(convNorm(left, first, stride)), second, 1);
    x = relu(add(inner, shortcut ? convNorm(right, shortcut, stride) : right));
  }
  return classify(x, weights.dense);
}
