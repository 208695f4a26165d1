import { constants, readdirSync, statSync } from "node:fs";
import { access, appendFile, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { availableParallelism, homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { decodeImage } from "./data/decode.node.ts";
import { fetchArchive } from "./data/download.node.ts";
import type { FileEntry, FileStat, Files } from "./files.ts";

/** Reads and writes go in pieces, because one system call moves less than 2 GiB. */
const PIECE = 1 << 30;
let temporaries = 0;

async function read(path: string): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, Math.min(PIECE, bytes.length - at), at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.subarray(0, at);
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(PIECE, bytes.length - at));
    at += bytesWritten;
  }
}

/** Makes a rename last through a power cut. Not every system can open a folder, and none needs it for consistency. */
async function flushDirectory(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    return;
  }
}

async function writeAtomic(path: string, data: string | Uint8Array | Iterable<Uint8Array>): Promise<void> {
  const parts = typeof data === "string" ? [Buffer.from(data)] : data instanceof Uint8Array ? [data] : data;
  const temporary = `${path}.${process.pid}.${temporaries++}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await flushDirectory(dirname(path));
}

/** Synchronous, because 60,000 asynchronous `stat`s take seconds and synchronous ones a quarter of a second. */
function listSync(path: string): FileEntry[] {
  const entries: FileEntry[] = [];
  for (const name of readdirSync(path).sort()) {
    const found = statSync(join(path, name), { throwIfNoEntry: false });
    if (found) entries.push({ name, size: found.size, modified: found.mtimeMs, directory: found.isDirectory() });
  }
  return entries;
}

function list(path: string): Promise<FileEntry[]> {
  return new Promise((done) => done(listSync(path)));
}

async function statPath(path: string): Promise<FileStat> {
  const found = await stat(path);
  return { size: found.size, modified: found.mtimeMs, directory: found.isDirectory() };
}

function cacheDirectory(): string {
  const { KILN_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (KILN_CACHE) return resolve(KILN_CACHE);
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "kiln");
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "kiln", "Cache");
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "kiln");
}

/** Files on the disk. */
export const files: Files = {
  read,
  readText: (path) => readFile(path, "utf8"),
  writeAtomic,
  append: (path, text) => appendFile(path, text),
  appendBytes: (path, bytes) => appendFile(path, bytes),
  list,
  exists: (path) =>
    access(path, constants.F_OK).then(
      () => true,
      () => false,
    ),
  stat: statPath,
  makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
  remove: (path) => rm(path, { recursive: true, force: true }),
  absolute: (path) => resolve(path),
  cacheDirectory,
  parallelism: availableParallelism(),
  decodeImage,
  fetchArchive,
};
