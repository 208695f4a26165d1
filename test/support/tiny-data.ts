// A few of the built-in images, for tests of training.
import { DeviceDataset } from "../../training/index.ts";
import type { ImageSet } from "../../training/data/dataset.ts";
import { shapes } from "../../training/data/shapes.ts";

export const trainImages = (count: number): ImageSet => shapes(0, { train: count, test: 0 }).train;
export const testImages = (count: number): ImageSet => shapes(0, { train: 0, test: count }).test;

const onDevice = (images: ImageSet): DeviceDataset =>
  new DeviceDataset(images, {
    classes: shapes(0, { train: 0, test: 0 }).classes,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  });

/** The first `count` training images on the shared device. Dispose of it. */
export const tinyTrain = (count: number): DeviceDataset => onDevice(trainImages(count));
/** The first `count` test images. */
export const tinyTest = (count: number): DeviceDataset => onDevice(testImages(count));
