// Files that were dropped, chosen or photographed, as a folder that `loadRaw` understands: unpacked, unwrapped, without what is no image.
import { IMAGE } from "../../training/data/class-folders.ts";
import { files } from "../../training/index.ts";
import { unpackZip } from "./unzip.ts";

/** A file with its path below what was dropped: "flowers/rose/1.png". */
export interface DroppedFile {
  readonly path: string;
  readonly file: Blob;
}

/** Progress of a loading, in files or images. */
export interface LoadStep {
  readonly phase: "read" | "unpack" | "decode";
  readonly done: number;
  readonly total: number;
}

/** A folder in memory. */
export interface DroppedFolder {
  readonly path: string;
  readonly kind: "images" | "cifar";
  /** Whether test images lie beside those for training. */
  readonly divided: boolean;
  /** What was left out, and why. */
  readonly warnings: readonly string[];
}

interface Found {
  readonly path: string;
  readonly read: () => Promise<Uint8Array>;
}

const ROOT = "/dropped";
/** Put here, what the loader keeps goes with the rest: the pixels are not held twice. */
export const DROPPED_CACHE = `${ROOT}/cache`;
/** The files as they are and their pixels are in memory for a while. */
const MOST_BYTES = 2 ** 31;
const AT_ONCE = 8;

const ZIP = /\.zip$/i;
const CIFAR = /(^|\/)(data_batch_[1-5]|test_batch|train|test)\.bin$/;
const CIFAR_NAMES = /(^|\/)(batches\.meta|fine_label_names)\.txt$/;
const CIFAR_PYTHON = /(^|\/)(data_batch_[1-5]|cifar-100-python\/train)$/;
const ARCHIVE = /\.(tar|tgz|gz|bz2|xz|7z|rar)$/i;
/** How people call the parts of a divided data set, and how the loader does. */
const PARTS: Readonly<Record<string, string>> = { train: "train", training: "train", test: "test", testing: "test" };
const HELD_OUT = ["val", "valid", "validation"];

/**
 * Writes the files into memory's file system, for `loadRaw`. Whoever calls it calls `removeDropped` in the end.
 *
 * @throws Error of one line where there is nothing to train on among them
 */
export async function writeDropped(
  dropped: readonly DroppedFile[],
  onProgress: (step: LoadStep) => void,
): Promise<DroppedFolder> {
  await removeDropped();
  let size = dropped.reduce((sum, { file }) => sum + file.size, 0);
  refuseTooLarge(size);
  const found: Found[] = [];
  for (const { path, file } of dropped) {
    if (isHidden(path)) continue;
    const read = () => bytesOf(path, file);
    // What was packed counts as what comes out of it.
    const admit = (unpacked: number) => refuseTooLarge((size += unpacked - file.size));
    if (!ZIP.test(path)) found.push({ path, read });
    else found.push(...openZip(path, await read(), admit, onProgress));
  }
  const wanted = found.filter(({ path }) => isWanted(path));
  const ignored = found.filter(({ path }) => !isWanted(path)).map(({ path }) => path);
  refuseStrangers(wanted, ignored);
  const binaries = wanted.find(({ path }) => CIFAR.test(path));
  const folder = binaries ? cifarFolder(binaries.path, wanted) : imageFolder(wanted, ignored);
  await write(folder.entries, onProgress);
  return folder;
}

export const removeDropped = (): Promise<void> => files.remove(ROOT);

/** The loader's messages, with paths as the user knows them. */
export const inUsersPaths = (message: string): string =>
  message.replaceAll(`${ROOT}/images/`, "").replace(/^data: /, "");

const isHidden = (path: string): boolean =>
  path.split("/").some((part) => part.startsWith(".") || /^(__MACOSX|Thumbs\.db|desktop\.ini)$/i.test(part));

const isWanted = (path: string): boolean => IMAGE.test(path) || CIFAR.test(path) || CIFAR_NAMES.test(path);

function openZip(
  path: string,
  archive: Uint8Array,
  admit: (bytes: number) => void,
  onProgress: (step: LoadStep) => void,
): Found[] {
  const found: Found[] = [];
  // An archive stands for the folder of its name, and usually holds it too.
  const folder = path.replace(ZIP, "");
  const name = folder.split("/").pop()!;
  const members = unpackZip(path, archive, {
    // The names of what is left out are worth a warning, their bytes are not.
    wanted: (member) => !isHidden(member) && isWanted(member),
    admit,
    onProgress: (done, total) => onProgress({ phase: "unpack", done, total }),
  });
  for (const [member, bytes] of members) {
    if (isHidden(member)) continue;
    const inner = member.startsWith(`${name}/`) ? member.slice(name.length + 1) : member;
    found.push({ path: `${folder}/${inner}`, read: () => Promise.resolve(bytes) });
  }
  return found;
}

function refuseTooLarge(bytes: number): void {
  if (bytes <= MOST_BYTES) return;
  throw new Error(
    `these files have ${(bytes / 1e9).toFixed(1)} GB, a page holds ${(MOST_BYTES / 1e9).toFixed(1)} GB: ` +
      "use fewer or smaller images, or train with the command line",
  );
}

function refuseStrangers(wanted: readonly Found[], ignored: readonly string[]): void {
  if (ignored.some((path) => CIFAR_PYTHON.test(path)))
    throw new Error(`this is CIFAR for Python: get the "binary version" of it`);
  if (wanted.length > 0) return;
  const archive = ignored.find((path) => ARCHIVE.test(path));
  if (archive !== undefined) throw new Error(`${archive}: only ZIP is unpacked here, unpack it first`);
  throw new Error(
    "there are no images in it: it needs a folder of images (png, jpg, webp, gif, avif, bmp) for each class",
  );
}

type Prepared = DroppedFolder & { readonly entries: readonly Found[] };

function cifarFolder(first: string, wanted: readonly Found[]): Prepared {
  const parent = first.slice(0, first.lastIndexOf("/") + 1);
  const path = `${ROOT}/images/CIFAR`;
  const entries = wanted
    .filter((entry) => entry.path.startsWith(parent) && !IMAGE.test(entry.path))
    .map(({ path: from, read }) => ({ path: `${path}/${from.slice(parent.length)}`, read }));
  return { path, kind: "cifar", divided: true, warnings: [], entries };
}

function imageFolder(wanted: readonly Found[], ignored: readonly string[]): Prepared {
  const images = wanted.filter(({ path }) => IMAGE.test(path));
  const { wrapper, name } = findWrapper(images.map(({ path }) => path));
  const below = images.map(({ path, read }) => ({ path: path.slice(wrapper.length), read }));
  const tops = new Set(below.filter(({ path }) => path.includes("/")).map(({ path }) => path.split("/")[0]));
  const parts = partNames(tops);
  const [loose, classed] = [false, true].map((deep) => below.filter(({ path }) => path.includes("/") === deep));
  if (classed.length === 0) {
    throw new Error("these images lie in no class folders: put those of each class into a folder of its own");
  }
  const path = `${ROOT}/images/${name}`;
  const entries = classed.map(({ path: from, read }) => {
    const [top, ...rest] = from.split("/");
    return { path: [path, parts.get(top) ?? top, ...rest].join("/"), read };
  });
  const warnings = [
    ...listed("no image", ignored),
    ...listed(
      "in no class folder",
      loose.map((entry) => entry.path),
    ),
  ];
  const all = new Set([...tops].map((top) => parts.get(top) ?? top));
  const divided = all.has("train") && ["test", ...HELD_OUT].some((part) => all.has(part));
  return { path, kind: "images", divided, warnings, entries };
}

/** The folders around the class folders: "data/flowers/", called by the first of them that says more than "train". */
function findWrapper(paths: readonly string[]): { wrapper: string; name: string } {
  let wrapper = "";
  let name: string | undefined;
  for (;;) {
    const inner = paths.map((path) => path.slice(wrapper.length).split("/"));
    const [first] = inner[0];
    const whole = inner.every(([top, ...rest]) => top === first && rest.length > 0);
    if (!whole || !inner.some((parts) => parts.length > 2)) break;
    wrapper += `${first}/`;
    if (!Object.hasOwn(PARTS, first.toLowerCase())) name ??= first;
  }
  return { wrapper, name: name === undefined || name === "shapes" ? "my images" : name };
}

/** "Training" and "Testing" are parts and no classes. */
function partNames(tops: ReadonlySet<string>): ReadonlyMap<string, string> {
  const names = new Map([...tops].map((top) => [top, PARTS[top.toLowerCase()] ?? top.toLowerCase()]));
  const known = [...names.values()].every((name) => name === "train" || name === "test" || HELD_OUT.includes(name));
  return known && new Set(names.values()).size === tops.size ? names : new Map();
}

function listed(what: string, paths: readonly string[]): string[] {
  if (paths.length === 0) return [];
  const more = paths.length > 3 ? ` and ${paths.length - 3} more` : "";
  return [`Left out, ${what}: ${paths.slice(0, 3).join(", ")}${more}`];
}

async function write(entries: readonly Found[], onProgress: (step: LoadStep) => void): Promise<void> {
  const progress = everySoOften((done: number) => onProgress({ phase: "read", done, total: entries.length }));
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let i = next++; i < entries.length; i = next++) {
      const { path, read } = entries[i];
      try {
        await files.writeAtomic(path, await read());
      } catch (error) {
        next = entries.length;
        throw error;
      }
      progress(i + 1);
    }
  };
  // All of them: one that is still at it would write among the files of the next load.
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, writer));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** @throws Error of one line where it was moved or changed since it was chosen */
async function bytesOf(path: string, file: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${path} cannot be read (${reason.replace(/\.$/, "")}): choose the files again`, { cause: error });
  }
}

/** Passes a call on at most ten times a second. */
export function everySoOften<T extends unknown[]>(call: (...values: T) => void): (...values: T) => void {
  let last = -Infinity;
  return (...values) => {
    if (performance.now() - last < 100) return;
    last = performance.now();
    call(...values);
  };
}
