// Pictures from wherever they come, brought to the model's size.
import { imageDataOf, pictureOf } from "../../training/canvas.browser.ts";
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
      return pictureOf(bitmap, { size, mode: "crop" });
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

/** For posting, which takes all the memory along that pixels are a view of. */
export const copyOf = ({ width, height, data }: DecodedImage): DecodedImage => ({ width, height, data: data.slice() });

function fitted(picture: DecodedImage, size: number): DecodedImage {
  const { width, height } = picture;
  if (width === size && height === size) return copyOf(picture);
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d")!.putImageData(imageDataOf(picture), 0, 0);
  return pictureOf(whole, { size, mode: "crop" });
}
