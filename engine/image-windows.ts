// A data set's images on the device, as bytes: 4 in each u32. CIFAR-10 has 147 MiB, many adapters bind at most 128 MiB at once, so
// the set is held as several tensors of whole images.
import { currentDevice } from "./current.ts";
import { keep } from "./scope.ts";
import { check } from "./shape.ts";
import { empty, type Tensor } from "./tensor.ts";

export interface ImageWindow {
  /** u32, the bytes of `count` images. */
  readonly bytes: Tensor;
  /** Index of its first image in the whole set. */
  readonly first: number;
  readonly count: number;
}

export class ImageWindows implements Disposable {
  readonly windows: readonly ImageWindow[];
  readonly count: number;
  readonly height: number;
  readonly width: number;

  constructor(windows: readonly ImageWindow[], height: number, width: number) {
    this.windows = windows;
    this.count = windows.reduce((sum, window) => sum + window.count, 0);
    this.height = height;
    this.width = width;
  }

  dispose(): void {
    for (const { bytes } of this.windows) bytes.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Indices of bytes have 32 bits: up to twice as much could be told apart, more than any adapter binds. */
const LARGEST_WINDOW = 2 ** 31;

/**
 * Uploads images [N, height, width, 3] (0..255). They stay until `dispose()`.
 *
 * @param options.windowBytes the most that a window holds; the adapter's binding limit where left out
 */
export function uploadImages(
  images: Uint8Array,
  options: { readonly height: number; readonly width: number; readonly windowBytes?: number },
): ImageWindows {
  const { height, width } = options;
  const imageBytes = height * width * 3;
  const count = images.length / imageBytes;
  check(count > 0 && Number.isInteger(count), "uploadImages", () => {
    return `${images.length} bytes are not a whole number of ${width}x${height} images with 3 channels`;
  });
  const device = currentDevice();
  const limit = Math.min(options.windowBytes ?? device.limits.maxStorageBufferBindingSize, LARGEST_WINDOW);
  // A binding's size is rounded up to 16 bytes.
  const most = Math.floor((limit - (limit % 16)) / imageBytes);
  check(most >= 1, "uploadImages", () => `an image of ${imageBytes} bytes exceeds this adapter's binding of ${limit}`);
  const windows: ImageWindow[] = [];
  for (let first = 0; first < count; first += most) {
    const part = Math.min(most, count - first);
    const bytes = keep(empty([Math.ceil((part * imageBytes) / 4)], "u32"));
    device.upload(bytes.location().buffer, images.subarray(first * imageBytes, (first + part) * imageBytes));
    windows.push({ bytes, first, count: part });
  }
  return new ImageWindows(windows, height, width);
}
