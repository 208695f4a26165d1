// Folders of small images, and reading them.
import { join } from "node:path";
import type { ImageSet } from "../../../training/data/dataset.ts";
import { readImageFolder } from "../../../training/data/image-folder.ts";
import type { FolderData, FolderOptions } from "../../../training/data/image-folder.ts";
import { picture, png, put, temporaryFolder } from "./fixtures.ts";

export const four = { "train/b": 3, "train/a": 2, "test/a": 1, "test/b": 2 };

/** The first pixel of each image: `picture(n)` starts with [37 n, 11 n, 3 n]. */
export const numbers = (set: ImageSet): number[] =>
  Array.from({ length: set.count }, (_, i) => set.images[i * 192 + 2] / 3);

/** For one file of tests, whose end removes them all. */
export function imageFolders() {
  const root = temporaryFolder();
  const cache = join(root, "cache");
  let made = 0;

  /** An image folder from `{ "train/cat": 3 }`: so many 8 x 8 PNG files in each folder, all of them different. */
  function makeFolder(counts: Record<string, number>): string {
    const folder = join(root, `f${made++}`);
    let n = 0;
    for (const [name, count] of Object.entries(counts)) {
      for (let i = 0; i < count; i++) put(join(folder, name, `${i}.png`), png(8, 8, picture(n++)));
      if (count === 0) put(join(folder, name, "notes.txt"), "none");
    }
    return folder;
  }

  function read(folder: string, options: Partial<FolderOptions> = {}): Promise<FolderData> {
    return readImageFolder(folder, { imageSize: 8, resize: "crop", seed: 0, cache, ...options });
  }

  return { root, cache, makeFolder, read };
}
