import type { DecodedImage, FileEntry, FileStat, Files, Fit } from "./files.ts";

/** The files of this page: kept in memory, gone when it is closed. Other paths are fetched from the page's server. */
const store = new Map<string, { bytes: Uint8Array; modified: number }>();

function absolute(path: string): string {
  if (/^[a-z]+:\/\//.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

async function read(path: string): Promise<Uint8Array> {
  const known = store.get(absolute(path));
  if (known) return known.bytes;
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

function write(path: string, parts: readonly Uint8Array[]): void {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  store.set(absolute(path), { bytes, modified: Date.now() });
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function append(path: string, bytes: Uint8Array): void {
  const known = store.get(absolute(path));
  write(path, known ? [known.bytes, bytes] : [bytes]);
}

function children(path: string): FileEntry[] {
  const prefix = absolute(path) === "/" ? "/" : `${absolute(path)}/`;
  const entries = new Map<string, FileEntry>();
  for (const [key, { bytes, modified }] of store) {
    if (!key.startsWith(prefix)) continue;
    const [name, ...deeper] = key.slice(prefix.length).split("/");
    const directory = deeper.length > 0;
    entries.set(name, {
      name: name,
      directory,
      size: directory ? 0 : bytes.length,
      modified: directory ? 0 : modified,
    });
  }
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function find(path: string): FileStat | undefined {
  const known = store.get(absolute(path));
  if (known) return { size: known.bytes.length, modified: known.modified, directory: false };
  return children(path).length > 0 ? { size: 0, modified: 0, directory: true } : undefined;
}

function attempt<T>(fn: () => T): Promise<T> {
  return new Promise((done) => done(fn()));
}

function statPath(path: string): FileStat {
  const found = find(path);
  if (!found) throw new Error(`${path}: no such file in this page`);
  return found;
}

async function decodeImage(bytes: Uint8Array, fit?: Fit): Promise<DecodedImage> {
  const bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  const [width, height] = fit ? [fit.size, fit.size] : [bitmap.width, bitmap.height];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("decodeImage: this browser has no 2D canvas in workers");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const side = Math.min(bitmap.width, bitmap.height);
  const [w, h] = fit?.mode === "crop" ? [side, side] : [bitmap.width, bitmap.height];
  context.drawImage(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, 0, 0, width, height);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
    data[i] = rgba[j]!;
    data[i + 1] = rgba[j + 1]!;
    data[i + 2] = rgba[j + 2]!;
  }
  return { width, height, data };
}

/** Files in the memory of the page. */
export const files: Files = {
  read,
  readText: async (path) => new TextDecoder().decode(await read(path)),
  writeAtomic: (path, data) =>
    attempt(() => write(path, typeof data === "string" ? [encode(data)] : data instanceof Uint8Array ? [data] : data)),
  append: (path, text) => attempt(() => append(path, encode(text))),
  appendBytes: (path, bytes) => attempt(() => append(path, bytes)),
  list: (path) => attempt(() => children(path)),
  exists: (path) => attempt(() => find(path) !== undefined),
  stat: (path) => attempt(() => statPath(path)),
  // Folders are only the prefixes of their files' paths.
  makeDirectory: () => Promise.resolve(),
  remove: (path) =>
    attempt(() => {
      const root = absolute(path);
      for (const key of store.keys()) if (key === root || key.startsWith(`${root}/`)) store.delete(key);
    }),
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
