// A data set on the device: images as bytes, labels, and batches made out of them by one kernel.
import { fromData, keep, scope, type Tensor } from "../../engine/index.ts";
import { centerLayout, centerRecords, gatherImages, gatherLabels } from "../../engine/ops/augment.ts";
import { uploadImages, type ImageWindows } from "../../engine/image-windows.ts";
import type { AugmentStep } from "../augment-grammar.ts";
import { Augmentation } from "./augment.ts";
import type { ImageSet, RawDataset, Rgb } from "./dataset.ts";
import { loadRaw, type LoadOptions } from "./load.ts";

/** Names of the classes, and what pixels are normalised by: (v / 255 - mean) / std, each of which is above 0. */
export interface DatasetInfo {
  readonly classes: readonly string[];
  readonly mean: Rgb;
  readonly std: Rgb;
}

export interface BatchOptions {
  /** Default: images as they are. */
  readonly augment?: readonly AugmentStep[] | undefined;
  /** With the image's index, what is drawn: see engine/random.ts. Defaults 0. */
  readonly seed?: number | undefined;
  readonly epoch?: number | undefined;
}

export interface Batch {
  /** f32 [N, H, W, 3], normalised. */
  readonly images: Tensor;
  /** u32 [N] */
  readonly labels: Tensor;
}

/** Images and labels on the current device. Owns that memory: dispose of it. */
export class DeviceDataset implements Disposable {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly classes: readonly string[];
  readonly mean: Rgb;
  readonly std: Rgb;
  /** The same on the host, with boxes and file names where there are such. */
  readonly raw: ImageSet;
  readonly #windows: ImageWindows;
  readonly #labels: Tensor;
  /** By the list of steps: a run gives the same one at each step. */
  readonly #augmentations = new WeakMap<readonly AugmentStep[], Augmentation>();

  /**
   * @param options.windowBytes the most that one binding holds; default what the adapter allows
   * @throws where there are no images, an image has no label or one that is no class, or mean or std is out of its range
   */
  constructor(set: ImageSet, info: DatasetInfo, options: { readonly windowBytes?: number } = {}) {
    const { count, height, width, images, labels } = set;
    if (count === 0) throw new Error("DeviceDataset: there are no images");
    checkLabels(labels, count, info.classes.length);
    checkRgb("mean", info.mean, "three numbers", () => true);
    checkRgb("std", info.std, "three numbers above 0", (value) => value > 0);
    this.raw = set;
    this.count = count;
    this.height = height;
    this.width = width;
    this.classes = info.classes;
    this.mean = info.mean;
    this.std = info.std;
    this.#windows = uploadImages(images, { height, width, ...options });
    this.#labels = keep(fromData(labels, [count], "u32"));
  }

  /** [N], indices into `classes`, on the host. */
  get labels(): Uint8Array | Uint16Array {
    return this.raw.labels;
  }

  /** Images as the model sees them in evaluation: f32 [N, H, W, 3], normalised. */
  images(indices: ArrayLike<number>): Tensor {
    const size = [this.height, this.width] as const;
    const records = centerRecords(this.#checked(indices), size);
    return gatherImages(this.#windows, records, { layout: centerLayout(size), mean: this.mean, std: this.std });
  }

  /** Images, augmented where asked for, with their labels. What happens to an image depends on (seed, epoch, its index) alone. */
  batch(indices: ArrayLike<number>, { augment = [], seed = 0, epoch = 0 }: BatchOptions = {}): Batch {
    const { mean, std } = this;
    return scope(() => {
      const labels = gatherLabels(this.#labels, this.#checked(indices));
      if (augment.length === 0) return { images: this.images(indices), labels };
      const augmentation = this.#augmentation(augment);
      const records = augmentation.records(seed, epoch, indices);
      return { images: gatherImages(this.#windows, records, { layout: augmentation.layout, mean, std }), labels };
    });
  }

  dispose(): void {
    this.#windows.dispose();
    this.#labels.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #augmentation(steps: readonly AugmentStep[]): Augmentation {
    let augmentation = this.#augmentations.get(steps);
    if (!augmentation) {
      augmentation = new Augmentation(steps, [this.height, this.width]);
      this.#augmentations.set(steps, augmentation);
    }
    return augmentation;
  }

  #checked(indices: ArrayLike<number>): ArrayLike<number> {
    if (indices.length === 0) throw new Error("DeviceDataset: no indices were given");
    for (let i = 0; i < indices.length; i++) {
      const index = indices[i];
      if (!(Number.isInteger(index) && index >= 0 && index < this.count)) {
        throw new Error(`DeviceDataset: there is no image ${index} among ${this.count}`);
      }
    }
    return indices;
  }
}

/** A label that is no class would only show as a loss of NaN. */
function checkLabels(labels: ArrayLike<number>, count: number, classes: number): void {
  if (labels.length !== count) throw new Error(`DeviceDataset: ${labels.length} labels for ${count} images`);
  for (let i = 0; i < count; i++) {
    if (labels[i] < classes) continue;
    throw new Error(`DeviceDataset: image ${i} has label ${labels[i]}, the ${classes} classes are 0 to ${classes - 1}`);
  }
}

/** Without a number for each channel, or divided by 0, pixels would be NaN, and only the loss would show it. */
function checkRgb(name: string, rgb: Rgb, wanted: string, holds: (value: number) => boolean): void {
  if (rgb?.length === 3 && rgb.every((value) => Number.isFinite(value) && holds(value))) return;
  const given = Array.isArray(rgb) ? `[${rgb.join(", ")}]` : String(rgb);
  throw new Error(`DeviceDataset: ${name} must be ${wanted}, as in [0.5, 0.5, 0.5], got ${given}`);
}

/** A data set ready to train on. Disposing of it frees all its parts. */
export interface Dataset extends DatasetInfo, Disposable {
  readonly name: string;
  readonly train: DeviceDataset;
  readonly test: DeviceDataset;
  /** Held out of the training images, where asked for. */
  readonly validation?: DeviceDataset;
  dispose(): void;
}

/**
 * Loads `shapes`, `cifar10`, `cifar100` or a folder (see `loadRaw`) onto the current device.
 *
 * @throws with a message that names the file or option at fault
 */
export async function loadDataset(spec: string, options: LoadOptions = {}): Promise<Dataset> {
  return toDevice(await loadRaw(spec, options));
}

/** Puts a loaded data set onto the current device. Where one part fails, nothing stays there. */
export function toDevice(raw: RawDataset): Dataset {
  const { name, classes, mean, std } = raw;
  const parts: DeviceDataset[] = [];
  const dispose = (): void => parts.forEach((part) => part.dispose());
  const upload = (set: ImageSet): DeviceDataset => {
    const part = new DeviceDataset(set, { classes, mean, std });
    parts.push(part);
    return part;
  };
  try {
    const [train, test] = [upload(raw.train), upload(raw.test)];
    const held = raw.validation && { validation: upload(raw.validation) };
    return { name, classes, mean, std, train, test, ...held, dispose, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
