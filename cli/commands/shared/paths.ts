// Files and folders that flags name.
import { closeSync, existsSync, lstatSync, mkdtempSync, openSync, readSync, rmdirSync, statSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { refuseHeld } from "../../../training/run-folder.ts";

/** Where results go that are sent nowhere else. */
const RUNS = "runs";

/** What is most wanted of a run folder that is named instead of a file in it. */
const WEIGHTS = ["best.safetensors", "last.safetensors"];

/** The contents of a file that a flag names. */
export async function readInput(path: string, flag: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(explainRead(cause, path, flag), { cause });
  }
}

/** One line on why a file that a flag names cannot be read. */
export function explainRead(cause: unknown, path: string, flag: string): string {
  const weights = WEIGHTS.map((name) => join(path, name)).find((file) => existsSync(file));
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file",
    EISDIR: `it is a folder, name a file in it${weights === undefined ? "" : `, such as ${weights}`}`,
    EACCES: "you may not read it",
  };
  const { code = "", message } = cause as NodeJS.ErrnoException;
  return `${flag} ${path}: ${reasons[code] ?? message}`;
}

/** Finds early what would make creating a run's folder fail after the data was loaded. */
export function checkRunFolder(dir: string | undefined): void {
  checkOutFolder(dir);
  if (dir !== undefined) refuseHeld(dir, (name) => existsSync(join(dir, name)));
}

/** The folder of a run that is continued: where there is none, opening it says so. */
export function checkResumeFolder(dir: string): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    tryWriting(dir, `--resume ${dir}`, "make it writable, or copy the run and resume the copy");
}

/** A folder that may exist and hold other things. */
export function checkOutFolder(dir = RUNS): void {
  let at = resolve(dir);
  // What exists of the path decides: everything below it can be created.
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  if (!statSync(at).isDirectory()) throw new Error(`${dir}: ${at} is a file, not a folder; choose another --out`);
  tryWriting(at, dir, "choose another --out");
}

/** Trying is the only answer that is right for root, read-only disks and /proc (where Node's recursive mkdir never ends). */
function tryWriting(folder: string, what: string, advice: string): void {
  try {
    rmdirSync(mkdtempSync(join(folder, ".kiln-")));
  } catch (cause) {
    throw new Error(`${what}: ${folder} cannot be written to (${(cause as Error).message}); ${advice}`, { cause });
  }
}

/** Creates the folder of results, before the long work that they come from: `out`, or a new `runs/<time>-<name>`. Returns its path. */
export async function makeOutFolder(out: string | undefined, name: string): Promise<string> {
  try {
    await mkdir(out ?? RUNS, { recursive: true });
    return out ?? (await makeFreshFolder(join(RUNS, `${localTime()}-${name.replace(/[^\w.-]+/g, "_")}`)));
  } catch (cause) {
    throw new Error(`cannot write into ${out ?? RUNS} (${(cause as Error).message}): choose another --out`, { cause });
  }
}

/** `base`, `base-2`, ...: the first that nobody has made, not even a command that began in the same second. */
async function makeFreshFolder(base: string): Promise<string> {
  for (let i = 1; ; i++) {
    const path = i === 1 ? base : `${base}-${i}`;
    try {
      await mkdir(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** Local, as people look for "the run of this morning": 20261121-093000. */
function localTime(): string {
  const now = new Date();
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${date}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}

/** A file in a folder that must exist; the file may exist too where it begins as one that was written by the same flag. */
export function checkOutFile(path: string, flag: string, begins: string): void {
  // A link is looked at itself, as it would be replaced: /dev/stdout is one.
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing?.isDirectory()) throw new Error(`${flag} ${path} is a folder: name a file`);
  if (existing && !existing.isFile()) throw new Error(`${flag} ${path} is not a plain file: name another`);
  if (!existsSync(dirname(path))) throw new Error(`${flag} ${path}: there is no folder ${dirname(path)}`);
  if (existing && existing.size > 0 && beginning(path, begins.length) !== begins)
    throw new Error(`${flag} ${path} exists and is something else: name another file`);
  tryWriting(dirname(path), `${flag} ${path}`, "name a file in another folder");
}

function beginning(path: string, bytes: number): string {
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(bytes);
    return start.toString("latin1", 0, readSync(file, start));
  } finally {
    closeSync(file);
  }
}
