// Batches out of a data set that lies on the device as bytes: gather, augment and normalise in one kernel. No gradients: images
// are inputs. What is drawn at random is decided on the CPU (training/data/augment.ts) and comes as one small record an image.
import { kernels } from "../../shaders/kernels.ts";
import type { ImageWindows } from "../image-windows.ts";
import { launch } from "../launch.ts";
import { scope } from "../scope.ts";
import { ceilDiv, check } from "../shape.ts";
import { empty, fromData, type Tensor } from "../tensor.ts";
import { gather } from "./gather.ts";

/** What lies outside of an image: one colour, its edge, or its mirror image with (reflect) or without (reflect101) the edge twice. */
export type Border = "constant" | "edge" | "reflect" | "reflect101";
const BORDERS: readonly Border[] = ["constant", "edge", "reflect", "reflect101"];

/** A colour in units of 0..255 for all channels, or the data set's mean, which normalises to 0. */
export type Fill = number | "mean";

/** Height and width in pixels. */
export type Size = readonly [number, number];

export interface BorderRule {
  readonly border: Border;
  readonly fill: Fill;
}

/** Where a box was cut. `output`, then backwards: before the last crop, before the rotation, before the first crop. */
export const BOX_FRAMES = ["output", "outer", "inner", "source"] as const;
export type BoxFrame = (typeof BOX_FRAMES)[number];

/** What all images of a batch have in common: sizes and borders of the stages, see shaders/augment/gather.wgsl. */
export interface GatherLayout {
  readonly output: Size;
  /** Between the affine stage and the crops and flips after it. */
  readonly outer: Size;
  /** Between the crops and flips before the affine stage and that stage. */
  readonly inner: Size;
  readonly pre: BorderRule;
  readonly post: BorderRule;
  /** Null: nothing interpolates, every pixel is a source pixel. */
  readonly affine: BorderRule | null;
  /** At most 8; a record gives the place of each. */
  readonly boxes: readonly { readonly frame: BoxFrame; readonly fill: Fill }[];
}

/** Whole-pixel map from output to input: x_in = signX * x + offsetX. Signs are 1 or -1. */
export interface PixelMap {
  readonly signX: number;
  readonly signY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

/** Rows of the matrix from output to input coordinates of pixel centres: x_in = m[0] x + m[1] y + m[2], y_in = m[3] x + ... */
export type AffineMap = readonly [number, number, number, number, number, number];

/** [x0, y0, x1, y1] in pixels, the upper ends excluded; empty where x1 <= x0. */
export type Box = readonly [number, number, number, number];

/** What happens to one image. */
export interface ImageRecord {
  /** Its index in the data set. */
  readonly image: number;
  readonly pre: PixelMap;
  readonly affine: AffineMap;
  readonly post: PixelMap;
  /** One for each box of the layout. */
  readonly boxes: readonly Box[];
}

export interface GatherOptions {
  readonly layout: GatherLayout;
  /** Of each channel, in units of 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export const UNMOVED: PixelMap = { signX: 1, signY: 1, offsetX: 0, offsetY: 0 };
export const IDENTITY: AffineMap = [1, 0, 0, 0, 1, 0];
export const MAX_BOXES = 8;

/** 32-bit words of a record on the device. */
const RECORD_WORDS = 52;

/**
 * A batch of normalised images, (v - 255 mean) / (255 std) with v in 0..255: f32 [N, H', W', 3].
 * Records are clear of randomness, so that equal records give equal bits.
 */
export function gatherImages(images: ImageWindows, records: readonly ImageRecord[], options: GatherOptions): Tensor {
  const { layout, mean, std } = options;
  check(records.length > 0, "gatherImages", () => "the batch is empty");
  check(mean.length === 3 && std.length === 3, "gatherImages", () => {
    return `mean and std need 3 values each, got ${mean.length} and ${std.length}`;
  });
  check(
    std.every((s) => s > 0),
    "gatherImages",
    () => `std must be positive, got ${std.join(", ")}`,
  );
  const [height, width] = layout.output;
  const y = empty([records.length, height, width, 3]);
  const pixels = records.length * height * width;
  scope(() => {
    const packed = pack(records, images.count, layout.boxes.length);
    const common = { ...layoutParams(images, layout, mean, std), pixels };
    for (const { bytes, first, count } of images.windows) {
      if (!records.some(({ image }) => image >= first && image < first + count)) continue;
      launch(kernels.augment.gather, {
        bindings: { images: bytes, records: packed, y },
        constants: { INTERPOLATE: layout.affine !== null },
        params: { ...common, window_first: first, window_count: count },
        workgroups: ceilDiv(pixels, 64),
      });
    }
  });
  return y;
}

/** The labels of a batch: labels u32 [count], indices [N] -> u32 [N]. */
export function gatherLabels(labels: Tensor, indices: Tensor | ArrayLike<number>): Tensor {
  check(labels.dtype === "u32" && labels.rank === 1, "gatherLabels", () => {
    return `labels must be u32 [count], got ${labels.toString()}`;
  });
  return gather(labels, indices);
}

/** The layout that only crops to the centre: evaluation. Throws where `output` is larger than the image. */
export function centerLayout(image: Size, output: Size = image): GatherLayout {
  check(output[0] <= image[0] && output[1] <= image[1], "centerLayout", () => {
    return `images of ${image[1]}x${image[0]} have no centre of ${output[1]}x${output[0]}`;
  });
  const rule: BorderRule = { border: "constant", fill: 0 };
  return { output, outer: image, inner: image, pre: rule, affine: null, post: rule, boxes: [] };
}

/** The records for `centerLayout`. */
export function centerRecords(indices: ArrayLike<number>, image: Size, output: Size = image): ImageRecord[] {
  const offsetY = Math.floor((image[0] - output[0]) / 2);
  const offsetX = Math.floor((image[1] - output[1]) / 2);
  const post = { ...UNMOVED, offsetX, offsetY };
  return Array.from(indices, (index) => ({ image: index, pre: UNMOVED, affine: IDENTITY, post, boxes: [] }));
}

function pack(records: readonly ImageRecord[], count: number, boxes: number): Tensor {
  const words = new Int32Array(records.length * RECORD_WORDS);
  const floats = new Float32Array(words.buffer);
  records.forEach((record, n) => {
    const { image, pre, post, affine } = record;
    check(Number.isInteger(image) && image >= 0 && image < count, "gatherImages", () => {
      return `image ${image} is not in a data set of ${count}`;
    });
    check(record.boxes.length === boxes, "gatherImages", () => {
      return `image ${image} has ${record.boxes.length} boxes, the layout ${boxes}`;
    });
    const at = n * RECORD_WORDS;
    words[at] = image;
    words.set(
      [pre.signX, pre.signY, pre.offsetX, pre.offsetY, post.signX, post.signY, post.offsetX, post.offsetY],
      at + 4,
    );
    floats.set(affine.slice(0, 3), at + 12);
    floats.set(affine.slice(3), at + 16);
    record.boxes.forEach((box, k) => words.set(box, at + 20 + 4 * k));
  });
  return fromData(new Uint32Array(words.buffer), [words.length], "u32");
}

function layoutParams(images: ImageWindows, layout: GatherLayout, mean: readonly number[], std: readonly number[]) {
  const { pre, affine, post, boxes, inner, outer, output } = layout;
  check(boxes.length <= MAX_BOXES, "gatherImages", () => `at most ${MAX_BOXES} boxes, got ${boxes.length}`);
  const mean255 = mean.map((m) => m * 255);
  const color = (fill: Fill): number[] => [...(fill === "mean" ? mean255 : [fill, fill, fill]), 0];
  const stages = [pre, affine ?? pre, post];
  return {
    inside: [images.width, images.height, inner[1], inner[0]],
    outside: [outer[1], outer[0], output[1], output[0]],
    borders: stages.map((stage) => BORDERS.indexOf(stage.border)),
    border_fills: stages.flatMap((stage) => color(stage.fill)),
    box_frames: boxes.map(({ frame }) => BOX_FRAMES.indexOf(frame)),
    box_fills: boxes.flatMap((box) => color(box.fill)),
    mean: [...mean255, 0],
    scale: [...std.map((s) => 1 / (255 * s)), 0],
    box_count: boxes.length,
  };
}
