import type { Fit } from "../files.ts";
import { LoadOptionError, splitIndices } from "./dataset.ts";
import type { ImageSet } from "./dataset.ts";
import { decodeFiles } from "./decode-files.ts";
import type { DecodeOptions, ImageFile } from "./decode-files.ts";
import { listFolder } from "./list-folder.ts";

const IMAGE = /\.(png|jpe?g|webp|gif|avif|tiff?|bmp)$/i;
const HELD_OUT = ["val", "valid", "validation"] as const;

export interface FolderOptions {
  /** Side of the decoded images in pixels. */
  readonly imageSize: number;
  readonly resize: Fit["mode"];
  /** Fraction of the images that trains, where the folder has no `test/`. 0: all test, also where there is a `test/` alone. */
  readonly split?: number | undefined;
  /** The same where `split` is not given; a folder that has a `test/` does without. */
  readonly fallbackSplit?: number | undefined;
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

/** The image files of one part of the data set, class by class, names sorted. */
type Part = Map<string, ImageFile[]>;

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
  const folders = (await listFolder(folder)).filter((entry) => entry.directory && !entry.name.startsWith("."));
  const names = new Set(folders.map((entry) => entry.name));
  if (names.has("train")) return findParts(folder, names, options);
  const allTest = options.split === 0;
  if (names.has("test") && !allTest) {
    throw new Error(
      `data: ${folder} has test/ and no train/; put the training images into train/<class>/, or where weights are tested give --split 0`,
    );
  }
  return splitPart(folder, await findPart(folder, names.has("test") ? "test" : "", allTest ? 1 : 2), options);
}

async function findParts(folder: string, names: ReadonlySet<string>, options: FolderOptions): Promise<Layout> {
  const train = await findPart(folder, "train");
  const heldOut = HELD_OUT.find((name) => names.has(name));
  const testName = names.has("test") ? "test" : heldOut;
  if (testName === undefined) return splitPart(`${folder}/train`, train, options);
  if (options.split !== undefined) {
    throw new LoadOptionError(`data: ${folder} has ${testName}/ already, so --split does not apply; leave it out`);
  }
  const classes = [...train.keys()];
  const same = async (name: string): Promise<ImageFile[]> => {
    const part = await findPart(folder, name);
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
    throw new Error(
      `data: ${folder} has no test images beside it (test/<class>/...); add them, or split with --split 0.9`,
    );
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

/** @param least number of classes */
async function findPart(folder: string, name: string, least = 2): Promise<Part> {
  const root = name === "" ? folder : `${folder}/${name}`;
  const entries = await listFolder(root);
  const classes = entries.filter((entry) => entry.directory && !entry.name.startsWith("."));
  if (classes.length === 0) {
    const what = entries.some((entry) => IMAGE.test(entry.name)) ? "images but no class folders" : "no class folders";
    throw new Error(
      `data: ${root} has ${what}; it needs train/<class>/*.{png,jpg,...} and test/<class>/..., ` +
        `or <class>/... with --split, or the CIFAR binary files`,
    );
  }
  if (classes.length < least)
    throw new Error(`data: ${root} has one class folder (${classes[0].name}/), two or more are needed`);
  const part: Part = new Map();
  for (const [label, { name: className }] of classes.entries()) {
    const list = await imagesBelow(folder, name === "" ? className : `${name}/${className}`, label);
    if (list.length === 0) {
      throw new Error(
        `data: ${root}/${className} holds no images (png, jpg, webp, gif, avif, tiff); add some or remove it`,
      );
    }
    part.set(className, list);
  }
  return part;
}

/** All images in a class folder and the folders in it. */
async function imagesBelow(folder: string, path: string, label: number): Promise<ImageFile[]> {
  const found: ImageFile[] = [];
  for (const entry of await listFolder(`${folder}/${path}`)) {
    if (entry.name.startsWith(".")) continue;
    const inner = `${path}/${entry.name}`;
    if (entry.directory) found.push(...(await imagesBelow(folder, inner, label)));
    else if (IMAGE.test(entry.name)) found.push({ path: inner, label, size: entry.size, modified: entry.modified });
  }
  return found;
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
