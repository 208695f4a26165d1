import type { Fit } from "../files.ts";
import { findPart, isOwnFolder, warnOfLeftOut } from "./class-folders.ts";
import type { LeftOut, Part } from "./class-folders.ts";
import { LoadOptionError, splitIndices } from "./dataset.ts";
import type { ImageSet } from "./dataset.ts";
import { decodeFiles } from "./decode-files.ts";
import type { DecodeOptions, ImageFile } from "./decode-files.ts";
import { listFolder } from "./list-folder.ts";

const HELD_OUT = ["val", "valid", "validation"] as const;
/** What is read of a folder that has `train/`. */
export const PARTS: readonly string[] = ["train", "test", ...HELD_OUT];

export interface FolderOptions {
  /** Side of the decoded images in pixels. */
  readonly imageSize: number;
  readonly resize: Fit["mode"];
  /** Fraction of the images that trains, where the folder has no `test/`. 0: all test, also where there is a `test/` alone. */
  readonly split?: number | undefined;
  /** The same where `split` is not given; a folder that has a `test/` does without. */
  readonly fallbackSplit?: number | undefined;
  /** Weights are there already, so that where nothing can train all may test: what messages advise. */
  readonly trained?: boolean | undefined;
  readonly seed: number;
  readonly strict?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly limitTest?: number | undefined;
  readonly cache?: string | undefined;
  readonly onProgress?: DecodeOptions["onProgress"];
  readonly onWarning?: DecodeOptions["onWarning"];
}

export interface FolderData {
  readonly classes: readonly string[];
  readonly train: ImageSet;
  readonly test: ImageSet;
  readonly validation?: ImageSet;
  /** By what fraction the folder was split. */
  readonly split?: number;
}

interface Layout {
  readonly classes: readonly string[];
  readonly train: readonly ImageFile[];
  readonly test: readonly ImageFile[];
  readonly validation?: readonly ImageFile[];
  readonly split?: number;
}

/**
 * Reads `train/<class>/*` + `test/<class>/*` (`val/` or `valid/` beside them is the validation set, or the test set where there
 * is no `test/`), or `<class>/*` alone with `split`. Classes and files are sorted by name and taken round robin over the classes.
 * @throws where the folder does not have that form, a class has no image, or (with `strict`) an image cannot be decoded.
 */
export async function readImageFolder(folder: string, options: FolderOptions): Promise<FolderData> {
  const layout = await findImages(folder, options);
  const read = (list: readonly ImageFile[], limit?: number): Promise<ImageSet> =>
    decodeFiles(folder, list, layout.classes, { ...options, limit });
  const train = await read(layout.train, options.limit);
  const test = await read(layout.test, options.limitTest);
  const validation = layout.validation && (await read(layout.validation));
  const { classes, split } = layout;
  return { classes, train, test, ...(validation && { validation }), ...(split !== undefined && { split }) };
}

async function findImages(folder: string, options: FolderOptions): Promise<Layout> {
  const names = new Set((await listFolder(folder)).filter(isOwnFolder).map((entry) => entry.name));
  const leftOut: LeftOut = { results: [], others: [] };
  const layout = await (names.has("train") ? findParts : findWhole)(folder, names, options, leftOut);
  warnOfLeftOut(folder, leftOut, (message) => options.onWarning?.(message));
  return layout;
}

/** Where there is no `train/`: class folders to be split, or a `test/` alone. */
async function findWhole(
  folder: string,
  names: ReadonlySet<string>,
  options: FolderOptions,
  leftOut: LeftOut,
): Promise<Layout> {
  const allTest = options.split === 0;
  if (names.has("test") && !allTest) {
    const advice = options.trained
      ? "give --split 0 to test on all its images"
      : "put the training images into train/<class>/";
    throw new Error(`data: ${folder} has test/ and no train/; ${advice}`);
  }
  return splitPart(folder, await findPart(folder, names.has("test") ? "test" : "", leftOut, allTest ? 1 : 2), options);
}

async function findParts(
  folder: string,
  names: ReadonlySet<string>,
  options: FolderOptions,
  leftOut: LeftOut,
): Promise<Layout> {
  const train = await findPart(folder, "train", leftOut);
  const heldOut = HELD_OUT.find((name) => names.has(name));
  const testName = names.has("test") ? "test" : heldOut;
  if (testName === undefined) return splitPart(`${folder}/train`, train, options);
  if (options.split !== undefined) {
    throw new LoadOptionError(`data: ${folder} has ${testName}/ already, so --split does not apply; leave it out`);
  }
  const classes = [...train.keys()];
  const same = async (name: string): Promise<ImageFile[]> => {
    const part = await findPart(folder, name, leftOut);
    sameClasses(folder, classes, name, [...part.keys()]);
    return roundRobin(part);
  };
  const test = await same(testName);
  const validation = heldOut !== undefined && heldOut !== testName ? await same(heldOut) : undefined;
  return { classes, train: roundRobin(train), test, ...(validation && { validation }) };
}

function sameClasses(folder: string, train: readonly string[], name: string, other: readonly string[]): void {
  const missing = train.find((label) => !other.includes(label));
  if (missing !== undefined) {
    throw new Error(
      `data: ${folder}/${name}/${missing} is missing: train/ has that class; add it to ${name}/ or remove it from train/`,
    );
  }
  const extra = other.find((label) => !train.includes(label));
  if (extra !== undefined) {
    throw new Error(`data: ${folder}/${name}/${extra} has no counterpart train/${extra}; both need the same classes`);
  }
}

function splitPart(folder: string, part: Part, options: FolderOptions): Layout {
  if (options.split === 0) return { classes: [...part.keys()], train: [], test: roundRobin(part), split: 0 };
  const fraction = options.split ?? options.fallbackSplit;
  if (fraction === undefined) {
    const advice = options.trained ? "give --split 0 to test on all its images" : "add them, or split with --split 0.9";
    throw new Error(`data: ${folder} has no test images beside it (test/<class>/...); ${advice}`);
  }
  const small = [...part].find(([, list]) => list.length < 2);
  if (small) throw new Error(`data: ${folder}/${small[0]} has a single image, which cannot be split; add images to it`);
  const all = roundRobin(part);
  const labels = all.map((file) => file.label);
  const { first, second } = splitIndices(labels, fraction, options.seed);
  // Uneven classes shift the turns; taking them anew keeps the first N of either part balanced.
  const pick = (indices: Uint32Array): ImageFile[] => roundRobin(byLabel(Array.from(indices, (i) => all[i])));
  return { classes: [...part.keys()], train: pick(first), test: pick(second), split: fraction };
}

function byLabel(list: readonly ImageFile[]): Map<number, ImageFile[]> {
  const classes = new Map<number, ImageFile[]>();
  for (const file of list) {
    const known = classes.get(file.label);
    if (known) known.push(file);
    else classes.set(file.label, [file]);
  }
  return new Map([...classes].sort(([a], [b]) => a - b));
}

/** The first file of every class, then the second of every class, and so on: any first N images are balanced. */
function roundRobin(part: ReadonlyMap<unknown, readonly ImageFile[]>): ImageFile[] {
  const classes = [...part.values()];
  const longest = classes.reduce((most, list) => Math.max(most, list.length), 0);
  const order: ImageFile[] = [];
  for (let turn = 0; turn < longest; turn++) {
    for (const list of classes) if (turn < list.length) order.push(list[turn]);
  }
  return order;
}
