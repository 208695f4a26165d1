import { files } from "#files";
import type { FileEntry } from "../files.ts";
import type { ImageSet, Rgb } from "./dataset.ts";
import { listFolder } from "./list-folder.ts";

/** The layout of the CIFAR binary files: a record is its label bytes, then 1024 red, 1024 green and 1024 blue bytes, row by row. */
interface Layout {
  readonly name: "cifar10" | "cifar100";
  readonly folder: string;
  readonly train: readonly string[];
  readonly test: string;
  readonly names: string;
  /** Bytes before the pixels; the last of them is the label. */
  readonly labelBytes: number;
  readonly classes: readonly string[];
  readonly mean: Rgb;
  readonly std: Rgb;
}

const PIXELS = 32 * 32;

const words = (text: string): string[] => text.trim().split(/\s+/);

const CIFAR10: Layout = {
  name: "cifar10",
  folder: "cifar-10-batches-bin",
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  test: "test_batch.bin",
  names: "batches.meta.txt",
  labelBytes: 1,
  classes: words("airplane automobile bird cat deer dog frog horse ship truck"),
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.247, 0.2435, 0.2616],
};

const CIFAR100: Layout = {
  name: "cifar100",
  folder: "cifar-100-binary",
  train: ["train.bin"],
  test: "test.bin",
  names: "fine_label_names.txt",
  labelBytes: 2,
  classes:
    words(`apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
    forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
    mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
    wolf woman worm`),
  mean: [0.5071, 0.4865, 0.4409],
  std: [0.2673, 0.2564, 0.2762],
};

/** A folder that holds CIFAR binary files. */
export interface CifarFolder {
  readonly folder: string;
  readonly layout: Layout;
}

/** Limits on the number of images read: the first ones, in the order of the files. */
export interface CifarLimits {
  readonly limit?: number | undefined;
  readonly limitTest?: number | undefined;
}

export interface CifarData {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: ImageSet;
  readonly test: ImageSet;
  readonly mean: Rgb;
  readonly std: Rgb;
}

/** Finds CIFAR binary files in a folder or in the sub-folder that the archives unpack to; undefined where there are none. */
export async function findCifar(folder: string): Promise<CifarFolder | undefined> {
  const entries = await listFolder(folder);
  for (const layout of [CIFAR10, CIFAR100]) {
    if (holdsAny(entries, layout)) return { folder, layout };
    const inner = `${folder}/${layout.folder}`;
    if (entries.some((entry) => entry.directory && entry.name === layout.folder)) {
      if (holdsAny(await listFolder(inner), layout)) return { folder: inner, layout };
    }
  }
  return undefined;
}

function holdsAny(entries: readonly FileEntry[], layout: Layout): boolean {
  const wanted = new Set([...layout.train, layout.test]);
  return entries.some((entry) => !entry.directory && wanted.has(entry.name));
}

/**
 * Reads CIFAR-10 or CIFAR-100 (fine labels) binary files.
 * @throws where a file is missing, is cut, or holds a label out of range.
 */
export async function readCifar({ folder, layout }: CifarFolder, limits: CifarLimits = {}): Promise<CifarData> {
  const { name, mean, std } = layout;
  const classes = await readClasses(folder, layout);
  const counts = new Map<string, number>();
  for (const file of [...layout.train, layout.test]) counts.set(file, await countRecords(folder, file, layout));
  const read = (names: readonly string[], most = Infinity): Promise<ImageSet> =>
    readSet(folder, layout, names, counts, classes.length, most);
  const train = await read(layout.train, limits.limit);
  const test = await read([layout.test], limits.limitTest);
  return { name, classes, train, test, mean, std };
}

async function readClasses(folder: string, layout: Layout): Promise<readonly string[]> {
  const path = `${folder}/${layout.names}`;
  if (!(await files.exists(path))) return layout.classes;
  const lines = (await files.readText(path)).split(/\r?\n/).map((line) => line.trim());
  const names = lines.filter((line) => line !== "");
  if (names.length < 2)
    throw new Error(`${layout.name}: ${path} names ${names.length} classes, two or more are needed`);
  return names;
}

async function countRecords(folder: string, file: string, layout: Layout): Promise<number> {
  const path = `${folder}/${file}`;
  if (!(await files.exists(path))) {
    const all = [...layout.train, layout.test].join(", ");
    throw new Error(`${layout.name}: ${path} is missing; the folder needs ${all}`);
  }
  const { size } = await files.stat(path);
  const record = layout.labelBytes + 3 * PIXELS;
  if (size === 0 || size % record !== 0) {
    const why =
      size === 0
        ? "is empty"
        : `has ${size} bytes, not a multiple of ${record} (one record): it is cut or not a CIFAR file`;
    throw new Error(`${layout.name}: ${path} ${why}; unpack it again`);
  }
  return size / record;
}

async function readSet(
  folder: string,
  layout: Layout,
  names: readonly string[],
  counts: ReadonlyMap<string, number>,
  classes: number,
  most: number,
): Promise<ImageSet> {
  const total = names.reduce((sum, name) => sum + counts.get(name)!, 0);
  const count = Math.min(total, most);
  const images = new Uint8Array(count * 3 * PIXELS);
  const labels = new Uint8Array(count);
  let at = 0;
  for (const name of names) {
    if (at >= count) break;
    const records = Math.min(counts.get(name)!, count - at);
    const bytes = await files.read(`${folder}/${name}`);
    unpackLabels(bytes, records, layout, `${folder}/${name}`, classes, labels.subarray(at));
    unpackImages(bytes, records, layout, images.subarray(at * 3 * PIXELS));
    at += records;
  }
  return { count, height: 32, width: 32, channels: 3, images, labels, skipped: 0 };
}

function unpackLabels(
  bytes: Uint8Array,
  records: number,
  layout: Layout,
  path: string,
  classes: number,
  to: Uint8Array,
): void {
  const record = layout.labelBytes + 3 * PIXELS;
  for (let i = 0; i < records; i++) {
    const label = bytes[i * record + layout.labelBytes - 1];
    if (label >= classes) {
      throw new Error(
        `${layout.name}: ${path} record ${i} has label ${label}, allowed are 0 to ${classes - 1}; ` +
          `the file is damaged or not ${layout.name}`,
      );
    }
    to[i] = label;
  }
}

/** From planes (all red, all green, all blue) to pixels (red, green, blue). */
function unpackImages(bytes: Uint8Array, records: number, layout: Layout, to: Uint8Array): void {
  const record = layout.labelBytes + 3 * PIXELS;
  for (let i = 0; i < records; i++) {
    let from = i * record + layout.labelBytes;
    let at = i * 3 * PIXELS;
    for (let pixel = 0; pixel < PIXELS; pixel++, from++, at += 3) {
      to[at] = bytes[from]!;
      to[at + 1] = bytes[from + PIXELS]!;
      to[at + 2] = bytes[from + 2 * PIXELS]!;
    }
  }
}
