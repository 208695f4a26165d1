// Files and folders that flags name.
import { existsSync, readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The contents of a file that a flag names. */
export async function readInput(path: string, flag: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason =
      code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : (cause as Error).message;
    throw new Error(`${flag} ${path}: ${reason}`, { cause });
  }
}

/** Finds early what would make creating the folder fail after the data was loaded. */
export function checkOut(dir: string): void {
  const found = statSync(dir, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isDirectory()) throw new Error(`${dir} is a file, not a folder: choose another --out`);
  if (readdirSync(dir).includes("state.safetensors")) {
    throw new Error(`${dir} holds a run already: choose another --out, or continue it with --resume ${dir}`);
  }
}

/** `runs/<time>-<name>`, one that does not exist yet. Times are local: people look for "the run of this morning". */
export function freshRunFolder(name: string): string {
  const now = new Date();
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  const base = join("runs", `${date}-${time}-${name.replace(/[^\w.-]+/g, "_")}`);
  let path = base;
  for (let i = 2; existsSync(path); i++) path = `${base}-${i}`;
  return path;
}
