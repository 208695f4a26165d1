import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { Archive, ByteProgress } from "../files.ts";

/** A connection that sends nothing for so long (ms) is taken for dead. */
const STALL = 60_000;
/** Connections made in one call before giving up; each goes on where the last one ended. */
const TRIES = 4;

/** A failure that another connection would not mend. */
class Refused extends Error {}

/** `Files.fetchArchive`: see there. */
export async function fetchArchive(archive: Archive, cache: string, onProgress?: ByteProgress): Promise<string> {
  const folder = join(cache, archive.folder);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true }).catch((error: unknown) => {
    throw new Error(
      `${archive.name}: cannot make the cache folder ${cache} (${reason(error)}); name another in KILN_CACHE`,
    );
  });
  const file = join(cache, basename(new URL(archive.url).pathname));
  if (!existsSync(file)) await download(archive, file, onProgress);
  await check(archive, file);
  await unpack(archive, file, cache);
  // The data are unpacked: the archive would only double their size on the disk.
  await rm(file, { force: true });
  return folder;
}

async function download(archive: Archive, file: string, onProgress?: ByteProgress): Promise<void> {
  const part = `${file}.part`;
  for (let attempt = 1; ; attempt++) {
    const before = sizeOf(part);
    try {
      await receive(archive.url, part, onProgress);
      break;
    } catch (error) {
      const stuck = sizeOf(part) === before;
      if (error instanceof Refused || stuck || attempt === TRIES) throw explain(archive, file, error);
    }
  }
  // Checked before it gets its name, so that a damaged download never blocks the next one.
  await check(archive, part);
  await rename(part, file);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The two lines that a user needs where there is no network. */
function explain(archive: Archive, file: string, error: unknown): Error {
  const kept = sizeOf(`${file}.part`);
  const resume = kept > 0 ? ` (${kept} bytes are kept: run again to go on from there)` : "";
  return new Error(
    `${archive.name}: cannot download ${archive.url}: ${reason(error)}${resume}\n` +
      `Put that file at ${file}, or give --data a folder that holds its unpacked .bin files`,
  );
}

/** `fetch` says only "fetch failed"; the cause below it, or the first of several causes, says why. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error.cause instanceof Error ? reason(error.cause) : error.message;
}

/** Appends to `part` what is missing of `url`; starts anew where the server knows no ranges. */
async function receive(url: string, part: string, onProgress?: ByteProgress): Promise<void> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error(`no data for ${STALL / 1000} s`)), STALL);
  };
  alive();
  try {
    const start = sizeOf(part);
    // Left to itself, `fetch` would unzip what a server labels as gzip, and the MD5 sum would be of something else.
    const headers = { "Accept-Encoding": "identity", ...(start > 0 && { Range: `bytes=${start}-` }) };
    const response = await fetch(url, { headers, signal: abort.signal });
    const kept = await resumesAt(response, start, part);
    if (kept === undefined) return;
    const length = Number(response.headers.get("content-length") ?? 0);
    await append(response, part, kept, length > 0 ? kept + length : 0, alive, onProgress);
  } finally {
    clearTimeout(timer);
  }
}

/** How many bytes of `part` the response goes on from; undefined where nothing is missing. */
async function resumesAt(response: Response, start: number, part: string): Promise<number | undefined> {
  if (response.status === 206) {
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    if (Number(range?.[1]) === start) return start;
    await response.body?.cancel();
    await rm(part, { force: true });
    throw new Error("the server sent another part of the file than was asked for");
  }
  if (response.status === 200) return 0;
  await response.body?.cancel();
  // "Range not satisfiable": all of it is here already, as its MD5 sum will tell.
  if (response.status === 416 && start > 0) return undefined;
  throw new Refused(`the server answered ${response.status} ${response.statusText}`.trimEnd());
}

async function append(
  response: Response,
  part: string,
  from: number,
  total: number,
  alive: () => void,
  onProgress?: ByteProgress,
): Promise<void> {
  const file = await open(part, from > 0 ? "r+" : "w");
  try {
    let at = from;
    for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
      alive();
      await file.write(piece, 0, piece.length, at);
      at += piece.length;
      onProgress?.(at, total);
    }
    if (total > 0 && at < total) throw new Error(`the connection ended after ${at} of ${total} bytes`);
  } finally {
    await file.close();
  }
}

/** Removes a file whose MD5 sum is not the published one, and says so. */
async function check(archive: Archive, file: string): Promise<void> {
  const hash = createHash("md5");
  await pipeline(createReadStream(file), hash);
  const got = hash.digest("hex");
  if (got === archive.md5) return;
  await rm(file, { force: true });
  throw new Error(
    `${archive.name}: ${basename(archive.url)} has MD5 ${got}, published is ${archive.md5}; ` +
      `the damaged file was removed, run again (from ${archive.url})`,
  );
}

/** Unpacks into a folder beside it and renames the data folder into place, so that a half-unpacked one is never found. */
async function unpack(archive: Archive, file: string, cache: string): Promise<void> {
  const temporary = join(cache, `unpacking-${process.pid}-${archive.folder}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  try {
    await tar(archive, file, temporary);
    if (!existsSync(join(temporary, archive.folder))) {
      const found = (await readdir(temporary)).join(", ") || "nothing";
      throw new Error(`${archive.name}: ${file} holds no folder ${archive.folder} (found: ${found})`);
    }
    await rename(join(temporary, archive.folder), join(cache, archive.folder));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Node unzips; `tar`, which Linux, macOS and Windows 10 all have, unpacks. */
async function tar(archive: Archive, file: string, folder: string): Promise<void> {
  const child = spawn("tar", ["-xf", "-", "-C", folder], { stdio: ["pipe", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const ended = new Promise<number | null>((done, fail) => child.on("error", fail).on("close", done));
  // Only zlib's failures count here. A broken pipe says nothing: tar closes its input at the archive's end mark, before the
  // padding after it, or because it fails, of which its exit status tells.
  const fed = pipeline(createReadStream(file), createGunzip(), child.stdin).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => (error.code?.startsWith("Z_") ? error.message : undefined),
  );
  const status = await ended.catch((error: unknown) => {
    throw new Error(
      `${archive.name}: cannot run tar (${reason(error)}); unpack ${file} by hand and give --data its folder`,
    );
  });
  const damage = await fed;
  if (damage !== undefined) throw new Error(`${archive.name}: cannot unzip ${file}: ${damage}`);
  if (status === 0) return;
  throw new Error(`${archive.name}: tar failed on ${file}: ${complaint.trim().split("\n")[0] || `status ${status}`}`);
}
