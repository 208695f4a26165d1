import { files } from "#files";
import type { FileEntry } from "../files.ts";

/** What a folder of images holds. @throws Error of one line where it may not be read */
export async function listFolder(path: string): Promise<FileEntry[]> {
  try {
    return await files.list(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`data: ${path} cannot be read (${reason}); make it readable or take it out of the data`, { cause });
  }
}
