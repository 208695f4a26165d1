// Class folders, the images in them, and what else lies there.
import type { FileEntry } from "../files.ts";
import type { ImageFile } from "./decode-files.ts";
import { listFolder } from "./list-folder.ts";

/** Names of images. Node reads no `.bmp`, browsers do. */
export const IMAGE = /\.(png|jpe?g|jpe|jfif|webp|gif|avif|tiff?|bmp)$/i;
const KINDS = "png, jpg, webp, gif, avif, tiff";
/** What systems leave in folders and in archives. */
const SYSTEM = /^(\..*|__MACOSX|Thumbs\.db|desktop\.ini)$/i;
/** Each tells a folder that a command wrote its results into: train.js, evaluate.js, explain.js, find-lr.js, compare.js. */
const RESULTS = new Set(["metrics.jsonl", "evaluation.json", "maps.json", "lr-finder.json", "compare.json"]);
/** So many kinds of other files are named. */
const NAMED_KINDS = 4;

/** The image files of one part of the data set, class by class, names sorted. */
export type Part = Map<string, ImageFile[]>;

/** What lies in class folders and is no image of the class, as paths below the data folder. */
export interface LeftOut {
  /** Folders with results, whose pictures belong to no class. */
  readonly results: string[];
  /** Files with an ending that no image has that is read. */
  readonly others: string[];
}

/** One line for the folders and one for the files, where there are such. */
export function warnOfLeftOut(folder: string, { results, others }: LeftOut, warn: (message: string) => void): void {
  if (results.length > 0) {
    const more = results.length > 1 ? ` and ${results.length - 1} more` : "";
    warn(`data: left out ${folder}/${results[0]}${more}: results of an earlier command, not images of a class`);
  }
  if (others.length > 0) {
    const are = others.length === 1 ? "file is" : "files are";
    warn(
      `data: ${others.length} ${are} not of a kind that is read (${kindsOf(others)}), such as ${folder}/${others[0]}`,
    );
  }
}

/** ".heic 16, .txt 1", the most frequent first. */
function kindsOf(paths: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const kind = /[^/](\.[^./]+)$/.exec(path)?.[1].toLowerCase() ?? "no ending";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const named = sorted.slice(0, NAMED_KINDS).map(([kind, count]) => `${kind} ${count}`);
  const rest = sorted.slice(NAMED_KINDS).reduce((sum, [, count]) => sum + count, 0);
  return [...named, ...(rest > 0 ? [`others ${rest}`] : [])].join(", ");
}

/** Whether the entry may be a class, or a part of the data set. */
export const isOwnFolder = ({ directory, name }: FileEntry): boolean => directory && !SYSTEM.test(name);

/**
 * The classes in a part of the data set, or in the folder itself where `name` is empty.
 *
 * @param leftOut what is no image is added to it
 * @param least number of classes
 * @throws Error of one line where there are fewer, or one has no image
 */
export async function findPart(folder: string, name: string, leftOut: LeftOut, least = 2): Promise<Part> {
  const root = name === "" ? folder : `${folder}/${name}`;
  const entries = await listFolder(root);
  const part: Part = new Map();
  for (const { name: className } of entries.filter(isOwnFolder)) {
    const before = { results: leftOut.results.length, others: leftOut.others.length };
    const list = await imagesBelow(folder, name === "" ? className : `${name}/${className}`, part.size, leftOut);
    if (list.length > 0) part.set(className, list);
    else if (leftOut.results.length === before.results)
      throw new Error(`data: ${root}/${className} ${describeEmpty(leftOut.others.slice(before.others))}`);
  }
  if (part.size === 0) {
    const what = entries.some((entry) => IMAGE.test(entry.name)) ? "images but no class folders" : "no class folders";
    throw new Error(
      `data: ${root} has ${what}; it needs train/<class>/*.{png,jpg,...} and test/<class>/..., ` +
        `or <class>/... with --split, or the CIFAR binary files`,
    );
  }
  if (part.size < least)
    throw new Error(`data: ${root} has one class folder (${[...part.keys()][0]}/), two or more are needed`);
  return part;
}

function describeEmpty(others: readonly string[]): string {
  if (others.length === 0) return `holds no images (${KINDS}); add some or remove it`;
  return `holds no images (${KINDS}) but other files (${kindsOf(others)}); convert them or remove it`;
}

/** All images in a class folder and the folders in it. */
async function imagesBelow(folder: string, path: string, label: number, leftOut: LeftOut): Promise<ImageFile[]> {
  const entries = (await listFolder(`${folder}/${path}`)).filter((entry) => !SYSTEM.test(entry.name));
  if (entries.some((entry) => RESULTS.has(entry.name))) {
    leftOut.results.push(path);
    return [];
  }
  const found: ImageFile[] = [];
  for (const { name, directory, size, modified } of entries) {
    const inner = `${path}/${name}`;
    if (directory) found.push(...(await imagesBelow(folder, inner, label, leftOut)));
    else if (IMAGE.test(name)) found.push({ path: inner, label, size, modified });
    else leftOut.others.push(inner);
  }
  return found;
}
