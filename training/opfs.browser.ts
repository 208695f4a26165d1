/**
 * Files that outlive the page, in the browser's own file system (OPFS): it belongs to the site, works in pages and workers, and no
 * other site sees it. Paths begin with `/kept`; in OPFS that is the folder `kiln`, because several programs may share an origin.
 */
import type { FileEntry, FileStat } from "./files.ts";

/** What files.browser.ts needs of a place for files. Paths are absolute. */
export interface Store {
  read(path: string): Promise<Uint8Array>;
  /** Replaces the file whole or not at all. */
  write(path: string, parts: readonly Uint8Array[]): Promise<void>;
  append(path: string, bytes: Uint8Array): Promise<void>;
  list(path: string): Promise<FileEntry[]>;
  stat(path: string): Promise<FileStat>;
  makeDirectory(path: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const KEPT = "/kept";
const ROOT = "kiln";
/** Ending of a new file's name until all of it is written: what has its real name is whole, even if the tab dies in between. */
const PART = ".kiln-part";
/** Such files, and the copies that Chromium writes to and shows. */
const UNFINISHED = /\.(kiln-part|crswap)$/;
/** TypeScript's DOM library does not know `move` yet. */
type Movable = FileSystemFileHandle & { move(name: string): Promise<void> };

/** Whether an absolute path belongs to this file system. */
export const isKept = (path: string): boolean => path === KEPT || path.startsWith(`${KEPT}/`);

let found: Promise<Store | undefined> | undefined;

/**
 * The kept files; `undefined` where the browser has no place for them: pages over plain http, private windows of some browsers,
 * Safari before 26, and Node.
 */
export function keptFiles(): Promise<Store | undefined> {
  return (found ??= look());
}

async function look(): Promise<Store | undefined> {
  try {
    await navigator.storage.getDirectory();
    const handle = FileSystemFileHandle.prototype;
    return "createWritable" in handle && "move" in handle && navigator.locks ? store : undefined;
  } catch {
    // There is no such object, or this window may not use it.
    return undefined;
  }
}

/** `/kept/a/b` is `a`, `b`. */
const namesOf = (path: string): string[] => path.split("/").slice(2);

async function openFolder(names: readonly string[], create = false): Promise<FileSystemDirectoryHandle> {
  const origin = await navigator.storage.getDirectory();
  let folder = await origin.getDirectoryHandle(ROOT, { create: true });
  for (const name of names) folder = await folder.getDirectoryHandle(name, { create });
  return folder;
}

async function openParent(path: string): Promise<{ folder: FileSystemDirectoryHandle; name: string }> {
  const above = namesOf(path);
  const name = above.pop();
  if (name === undefined) throw new DOMException(`${KEPT} is a folder`, "TypeMismatchError");
  return { folder: await openFolder(above), name };
}

async function describe(handle: FileSystemHandle): Promise<FileStat> {
  if (handle.kind === "directory") return { size: 0, modified: 0, directory: true };
  const { size, lastModified } = await (handle as FileSystemFileHandle).getFile();
  return { size, modified: lastModified, directory: false };
}

/** `undefined` where `promise` fails with the DOMException of this name. */
async function unless<T>(name: string, promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof DOMException && error.name === name) return undefined;
    throw error;
  }
}

async function read(path: string): Promise<Uint8Array> {
  const { folder, name } = await openParent(path);
  const file = await (await folder.getFileHandle(name)).getFile();
  return new Uint8Array(await file.arrayBuffer());
}

/** Of a larger write that finds no more room, Chromium may report its broken pipe instead. */
const PIECE = 2 ** 20;

function* piecesOf(parts: readonly Uint8Array[]): Generator<Uint8Array<ArrayBuffer>> {
  for (const part of parts) {
    for (let i = 0; i < part.length; i += PIECE) yield part.subarray(i, i + PIECE) as Uint8Array<ArrayBuffer>;
  }
}

async function write(path: string, parts: readonly Uint8Array[], atEnd = false): Promise<void> {
  const { folder, name } = await openParent(path);
  const old = await unless("NotFoundError", folder.getFileHandle(name));
  const handle = old ?? (await folder.getFileHandle(name + PART, { create: true }));
  // It writes to a copy, which takes the file's place on close().
  const copy = await handle.createWritable({ keepExistingData: atEnd && old !== undefined });
  try {
    if (atEnd && old) await copy.seek((await old.getFile()).size);
    for (const piece of piecesOf(parts)) await copy.write(piece);
    await copy.close();
    if (!old) await (handle as Movable).move(name);
  } catch (error) {
    await Promise.allSettled([copy.abort(), old ? undefined : folder.removeEntry(name + PART)]);
    throw error;
  }
}

async function list(path: string): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for await (const [name, handle] of (await openFolder(namesOf(path))).entries()) {
    if (UNFINISHED.test(name)) continue;
    const stat = await unless("NotFoundError", describe(handle));
    if (stat) entries.push({ name, ...stat });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function stat(path: string): Promise<FileStat> {
  if (path === KEPT) return describe(await openFolder([]));
  const { folder, name } = await openParent(path);
  const file = await unless("TypeMismatchError", folder.getFileHandle(name));
  return describe(file ?? (await folder.getDirectoryHandle(name)));
}

async function remove(path: string): Promise<void> {
  const above = namesOf(path);
  const name = above.pop();
  const folder = name === undefined ? navigator.storage.getDirectory() : openFolder(above);
  const found = await unless("NotFoundError", folder);
  await unless("NotFoundError", Promise.resolve(found?.removeEntry(name ?? ROOT, { recursive: true })));
}

const MIB = 2 ** 20;

async function explain(path: string, error: unknown): Promise<string> {
  const { name, message } = error as Error;
  switch (name) {
    case "NotFoundError":
      return `${path}: no such file in this page`;
    case "TypeMismatchError":
      return `${path}: a folder is where a file should be, or a file where a folder should be; choose another name`;
    case "NoModificationAllowedError":
      return `${path}: in use elsewhere; close other tabs of this page and try again`;
    case "QuotaExceededError": {
      // Not of how many: what browsers say there is made up, against fingerprinting.
      const { usage = 0 } = await navigator.storage.estimate();
      const used = `${Math.round(usage / MIB)} MiB are used`;
      return `${path}: the browser gives this site no more room (${used}); remove kept runs or data, or free disk space`;
    }
    default:
      return `${path}: ${message}`;
  }
}

type Work<A extends unknown[], T> = (path: string, ...rest: A) => Promise<T>;

/** With errors of one line that name the path. */
function told<A extends unknown[], T>(work: Work<A, T>): Work<A, T> {
  return async (path, ...rest) => {
    try {
      return await work(path, ...rest);
    } catch (error) {
      throw new Error(await explain(path, error), { cause: error });
    }
  };
}

/** A file that is replaced while it is read cannot be read, and of two appends at once one is lost: so they take turns, over all tabs. */
function inTurn<A extends unknown[], T>(mode: LockMode, work: Work<A, T>): Work<A, T> {
  return (path, ...rest) => navigator.locks.request(`kiln ${path}`, { mode }, () => work(path, ...rest));
}

const store: Store = {
  read: told(inTurn("shared", read)),
  write: told(inTurn("exclusive", (path, parts) => write(path, parts))),
  append: told(inTurn("exclusive", (path, bytes) => write(path, [bytes], true))),
  list: told(list),
  stat: told(stat),
  makeDirectory: told(async (path) => void (await openFolder(namesOf(path), true))),
  remove: told(remove),
};
