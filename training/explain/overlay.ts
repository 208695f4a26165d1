// Pictures of heat maps: RGB bytes in, RGB bytes out.
import { colorTable, type ColorMap } from "./color-maps.ts";

/** Rows of RGB bytes, `data [height, width, 3]`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface OverlayOptions {
  /** Default "jet". */
  readonly colorMap?: ColorMap | undefined;
  /** How much of the picture is the image, 0..1; the rest is heat. Default 0.5. */
  readonly imageWeight?: number | undefined;
}

const f = Math.fround;

/**
 * Heat over an image, to the byte as pytorch-grad-cam's `show_cam_on_image` makes it: mixed, divided by the brightest value of all, cut
 * off to bytes. The arithmetic is numpy's: f32 throughout.
 *
 * @param rgb image [H, W, 3], 0..255
 * @param map heat [H, W], 0..1
 */
export function overlay(rgb: Uint8Array, map: ArrayLike<number>, options: OverlayOptions = {}): Uint8Array {
  const { imageWeight = 0.5 } = options;
  checkSizes("overlay", rgb, map);
  if (!(imageWeight >= 0 && imageWeight <= 1)) throw new Error(`overlay: imageWeight ${imageWeight} is not in 0..1`);
  const heat = heatMap(map, options.colorMap);
  const [ofHeat, ofImage] = [f(1 - imageWeight), f(imageWeight)];
  const mixed = new Float32Array(rgb.length);
  let brightest = 0;
  for (let i = 0; i < rgb.length; i++) {
    mixed[i] = f(f(ofHeat * f(heat[i] / 255)) + f(ofImage * f(rgb[i] / 255)));
    if (mixed[i] > brightest) brightest = mixed[i];
  }
  // All black stays black: 0 / 0 is no byte.
  if (brightest === 0) return new Uint8Array(rgb.length);
  return Uint8Array.from(mixed, (value) => f(255 * f(value / brightest)));
}

/** The heat alone, [H, W, 3]. @param map heat, 0..1; what lies outside is clamped, NaN is 0 */
export function heatMap(map: ArrayLike<number>, colorMap: ColorMap = "jet"): Uint8Array {
  const table = colorTable(colorMap);
  const heat = new Uint8Array(map.length * 3);
  for (let i = 0; i < map.length; i++) {
    const index = Math.trunc(f(255 * Math.min(1, Math.max(0, f(map[i]) || 0))));
    heat.set(table.subarray(index * 3, index * 3 + 3), i * 3);
  }
  return heat;
}

/**
 * Where two maps differ, over the image in grey: red where `first` is hotter, blue where `second` is, the stronger the more. Of the
 * predicted and the true class it shows what spoke for the wrong one.
 *
 * @param rgb image [H, W, 3]
 * @param first @param second heat [H, W], 0..1
 */
export function signedDifference(rgb: Uint8Array, first: ArrayLike<number>, second: ArrayLike<number>): Uint8Array {
  checkSizes("signedDifference", rgb, first);
  checkSizes("signedDifference", rgb, second);
  const table = colorTable("coolwarm");
  const picture = new Uint8Array(rgb.length);
  for (let i = 0; i < first.length; i++) {
    const at = i * 3;
    const difference = Math.min(1, Math.max(-1, first[i] - second[i]));
    const strength = Math.abs(difference);
    const colour = difference > 0 ? 255 : 0;
    const grey = 0.299 * rgb[at] + 0.587 * rgb[at + 1] + 0.114 * rgb[at + 2];
    for (let c = 0; c < 3; c++) picture[at + c] = Math.round((1 - strength) * grey + strength * table[colour * 3 + c]);
  }
  return picture;
}

/** Every pixel `factor` times as wide and as high (a whole number), so that a picture of 32 x 32 can be seen. */
export function enlarge({ width, height, data }: Picture, factor: number): Picture {
  if (!Number.isInteger(factor) || factor < 1)
    throw new Error(`enlarge: ${factor} is not a whole number of at least 1`);
  const large = blank(width * factor, height * factor, [0, 0, 0]);
  for (let y = 0; y < large.height; y++) {
    for (let x = 0; x < large.width; x++) {
      const from = (Math.floor(y / factor) * width + Math.floor(x / factor)) * 3;
      large.data.set(data.subarray(from, from + 3), (y * large.width + x) * 3);
    }
  }
  return large;
}

export interface MontageOptions {
  /** Pictures a row; default all in one. */
  readonly columns?: number | undefined;
  /** Pixels between pictures; default 4. */
  readonly gap?: number | undefined;
  /** RGB of the gaps and of places without a picture; default white. */
  readonly background?: readonly [number, number, number] | undefined;
}

/** Pictures side by side, row by row, in cells as large as the largest. */
export function montage(pictures: readonly Picture[], options: MontageOptions = {}): Picture {
  if (pictures.length === 0) throw new Error("montage: there are no pictures");
  const { columns = pictures.length, gap = 4, background = [255, 255, 255] } = options;
  const width = Math.max(...pictures.map((picture) => picture.width));
  const height = Math.max(...pictures.map((picture) => picture.height));
  const across = Math.min(columns, pictures.length);
  const down = Math.ceil(pictures.length / columns);
  const whole = blank(across * (width + gap) - gap, down * (height + gap) - gap, background);
  pictures.forEach((picture, i) => {
    const left = (i % columns) * (width + gap);
    const top = Math.floor(i / columns) * (height + gap);
    for (let y = 0; y < picture.height; y++) {
      const row = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
      whole.data.set(row, ((top + y) * whole.width + left) * 3);
    }
  });
  return whole;
}

function blank(width: number, height: number, [red, green, blue]: readonly [number, number, number]): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 3) [data[i], data[i + 1], data[i + 2]] = [red, green, blue];
  return { width, height, data };
}

function checkSizes(who: string, rgb: Uint8Array, map: ArrayLike<number>): void {
  if (rgb.length === map.length * 3) return;
  throw new Error(`${who}: a map of ${map.length} numbers does not fit an image of ${rgb.length / 3} pixels`);
}
