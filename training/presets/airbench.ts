// What the three speed nets have in common, beyond flags: Keller Jordan's cifar10-airbench (arXiv 2404.00498).
import { Airbench, type Classifier } from "../../nn/index.ts";
import type { DeviceDataset } from "../data/device-dataset.ts";
import type { PresetHooks } from "./preset.ts";

/** The shifts of batch norm learn so many times faster. */
const BIAS_SCALER = 64;
/** The whitening layer's bias is trained so long. */
const WHITENING_BIAS_EPOCHS = 3;
const WHITENING_IMAGES = 5000;
const IMAGES_AT_ONCE = 500;

export const airbenchHooks: PresetHooks = {
  /** Their decay is divided by the same factor, so that both shrink by the same share in a step. */
  groups: (model, { lr, weightDecay }) => {
    const isShift = (name: string): boolean => /\.norm\d\.bias$/.test(name);
    const named = model.namedParameters();
    const those = (wanted: boolean) =>
      named.filter(([name]) => isShift(name) === wanted).map(([, parameter]) => parameter);
    return [
      { params: those(true), lr: lr * BIAS_SCALER, weightDecay: weightDecay / BIAS_SCALER },
      { params: those(false), lr, weightDecay },
    ];
  },
  prepare: async (model, train) => own(model).whiten(await firstImages(train), train.height, train.width),
  trainer: (model) => {
    const { bias } = own(model).whitening;
    const learns = bias!.requiresGrad; // not in a frozen trunk
    return {
      lookahead: { every: 5, decay: (progress) => 0.95 ** 5 * progress ** 3 },
      beforeStep: ({ epoch }) => {
        bias!.requiresGrad = learns && epoch <= WHITENING_BIAS_EPOCHS;
      },
    };
  },
};

function own(model: Classifier): Airbench {
  if (model instanceof Airbench) return model;
  throw new Error(
    `the airbench presets are recipes for airbench94, 95 and 96, not for ${model.name}: leave --model out`,
  );
}

/** The first training images as the model sees them, not augmented. */
async function firstImages(train: DeviceDataset): Promise<Float32Array> {
  const count = Math.min(WHITENING_IMAGES, train.count);
  const size = train.height * train.width * 3;
  const all = new Float32Array(count * size);
  for (let first = 0; first < count; first += IMAGES_AT_ONCE) {
    const images = train.images(Array.from({ length: Math.min(IMAGES_AT_ONCE, count - first) }, (_, i) => first + i));
    all.set(await images.data(), first * size);
    images.dispose();
  }
  return all;
}
