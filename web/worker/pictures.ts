// Pictures from wherever they come, brought to the model's size.
import { files, rawImage, type DecodedImage } from "../../training/index.ts";
import { needData, type State } from "./state.ts";

/** A test image, a file, a drawing or a frame of a video (which is closed then), or pixels as an answer had them. */
export type PictureSource =
  | { readonly index: number }
  | { readonly file: Blob }
  | { readonly bitmap: ImageBitmap }
  | { readonly picture: DecodedImage };

/**
 * The picture's middle square, scaled to `size` x `size`.
 *
 * @throws Error of one line where it cannot be read
 */
export async function pixelsOf(source: PictureSource, size: number, state: State): Promise<DecodedImage> {
  if ("index" in source) return fitted(rawImage(needData(state).raw.test, source.index), size);
  if ("picture" in source) return fitted(source.picture, size);
  if ("bitmap" in source) {
    const { bitmap } = source;
    try {
      return squared(bitmap, size);
    } finally {
      bitmap.close();
    }
  }
  try {
    return await files.decodeImage(new Uint8Array(await source.file.arrayBuffer()), { size, mode: "crop" });
  } catch (cause) {
    const name = source.file instanceof File ? source.file.name : "the file";
    throw new Error(`${name} is no picture that this browser can read: choose a PNG, JPEG or WebP`, { cause });
  }
}

function fitted({ width, height, data }: DecodedImage, size: number): DecodedImage {
  // A copy: what is posted takes all the memory along that it is a view of.
  if (width === size && height === size) return { width, height, data: data.slice() };
  const rgba = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgba.data.set(data.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    rgba.data[4 * pixel + 3] = 255;
  }
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d")!.putImageData(rgba, 0, 0);
  return squared(whole, size);
}

function squared(image: ImageBitmap | OffscreenCanvas, size: number): DecodedImage {
  const { width, height } = image;
  const side = Math.min(width, height);
  const context = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (width - side) / 2, (height - side) / 2, side, side, 0, 0, size, size);
  const rgba = context.getImageData(0, 0, size, size).data;
  const data = new Uint8Array(size * size * 3);
  for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
    [data[i], data[i + 1], data[i + 2]] = [rgba[j], rgba[j + 1], rgba[j + 2]];
  }
  return { width: size, height: size, data };
}
