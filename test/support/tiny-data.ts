// A few of the built-in images, for tests of training.
import { DeviceDataset } from "../../training/index.ts";
import { limit, subset, type ImageSet } from "../../training/data/dataset.ts";
import { shapes } from "../../training/data/shapes.ts";

const shared = globalThis as typeof globalThis & { kilnShapes?: ReturnType<typeof shapes> };
const all = (): ReturnType<typeof shapes> => (shared.kilnShapes ??= shapes(0));
const info = () => ({ classes: all().classes, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }) as const;

export const trainImages = (count: number): ImageSet => limit(all().train, count);
export const testImages = (count: number): ImageSet => limit(all().test, count);

/** The first `count` training images on the shared device. Dispose of it. */
export const tinyTrain = (count: number): DeviceDataset => new DeviceDataset(trainImages(count), info());
/** The first `count` test images. */
export const tinyTest = (count: number): DeviceDataset => new DeviceDataset(testImages(count), info());
/** Chosen training images. */
export const chosen = (indices: readonly number[]): DeviceDataset =>
  new DeviceDataset(subset(all().train, Uint32Array.from(indices)), info());
