import { pictureOf } from "./canvas.browser.ts";
import type { DecodedImage, FileEntry, FileStat, Files, Fit } from "./files.ts";
import { isKept, keptFiles, type Store } from "./opfs.browser.ts";

/**
 * The files of a page or worker. Below `/kept` they lie in the browser's own file system and outlive the page (in memory, too, where there
 * is no such system: see keptFiles()); all others lie in memory. What is read and was never written is fetched from the page's server.
 */
const held = new Map<string, { bytes: Uint8Array; modified: number }>();

function absolute(path: string): string {
  if (/^[a-z]+:\/\//.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function write(path: string, parts: readonly Uint8Array[]): void {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  held.set(path, { bytes, modified: Date.now() });
}

function list(path: string): FileEntry[] {
  const prefix = path === "/" ? "/" : `${path}/`;
  const entries = new Map<string, FileEntry>();
  for (const [key, { bytes, modified }] of held) {
    if (!key.startsWith(prefix)) continue;
    const [name, ...deeper] = key.slice(prefix.length).split("/");
    const directory = deeper.length > 0;
    entries.set(name, { name, directory, size: directory ? 0 : bytes.length, modified: directory ? 0 : modified });
  }
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const noSuchFile = (path: string): Error => new Error(`${path}: no such file in this page`);

function stat(path: string): FileStat {
  const known = held.get(path);
  if (known) return { size: known.bytes.length, modified: known.modified, directory: false };
  if (list(path).length === 0) throw noSuchFile(path);
  return { size: 0, modified: 0, directory: true };
}

function remove(path: string): void {
  for (const key of held.keys()) if (key === path || key.startsWith(`${path}/`)) held.delete(key);
}

function attempt<T>(fn: () => T): Promise<T> {
  return new Promise((done) => done(fn()));
}

/** Files in memory. Folders are only the prefixes of their files' paths. */
const memory: Store = {
  read: (path) =>
    attempt(() => {
      const known = held.get(path);
      if (!known) throw noSuchFile(path);
      return known.bytes;
    }),
  write: (path, parts) => attempt(() => write(path, parts)),
  append: (path, bytes) =>
    attempt(() => {
      const known = held.get(path);
      write(path, known ? [known.bytes, bytes] : [bytes]);
    }),
  list: (path) => attempt(() => list(path)),
  stat: (path) => attempt(() => stat(path)),
  makeDirectory: () => Promise.resolve(),
  remove: (path) => attempt(() => remove(path)),
};

/** Does `work` in the place that a path belongs to. */
async function at<T>(path: string, work: (store: Store, full: string) => Promise<T>): Promise<T> {
  const full = absolute(path);
  return work((isKept(full) && (await keptFiles())) || memory, full);
}

async function read(path: string): Promise<Uint8Array> {
  const full = absolute(path);
  if (isKept(full) || held.has(full)) return at(full, (store) => store.read(full));
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function asParts(data: string | Uint8Array | Iterable<Uint8Array>): readonly Uint8Array[] {
  return typeof data === "string" ? [encode(data)] : data instanceof Uint8Array ? [data] : [...data];
}

async function decodeImage(bytes: Uint8Array, fit?: Fit): Promise<DecodedImage> {
  const bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  try {
    return pictureOf(bitmap, fit);
  } finally {
    bitmap.close();
  }
}

/** The files of a page: below `/kept` they outlive it where the browser can, others are gone with it. */
export const files: Files = {
  read,
  readText: async (path) => new TextDecoder().decode(await read(path)),
  writeAtomic: (path, data) => at(path, (store, full) => store.write(full, asParts(data))),
  append: (path, text) => at(path, (store, full) => store.append(full, encode(text))),
  appendBytes: (path, bytes) => at(path, (store, full) => store.append(full, bytes)),
  list: (path) => at(path, (store, full) => store.list(full)),
  exists: (path) =>
    at(path, (store, full) => store.stat(full)).then(
      () => true,
      () => false,
    ),
  stat: (path) => at(path, (store, full) => store.stat(full)),
  makeDirectory: (path) => at(path, (store, full) => store.makeDirectory(full)),
  remove: (path) => at(path, (store, full) => store.remove(full)),
  absolute,
  cacheDirectory: () => "/cache",
  parallelism: globalThis.navigator?.hardwareConcurrency ?? 4,
  decodeImage,
  fetchArchive: (archive) =>
    Promise.reject(
      new Error(
        `${archive.name}: a page may not download ${archive.url}; write the unpacked files with files.writeAtomic() and give their folder`,
      ),
    ),
};
