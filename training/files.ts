/**
 * The one seam between Kiln and the world of files. `training` never imports `fs` or `sharp`: it writes
 * `import { files } from "#files"`, and package.json's `imports` picks files.node.ts or files.browser.ts.
 */

/** What a path is. `modified` is in milliseconds since 1970. */
export interface FileStat {
  readonly size: number;
  readonly modified: number;
  readonly directory: boolean;
}

export interface FileEntry extends FileStat {
  readonly name: string;
}

/** How an image is brought to `size` x `size`: `crop` scales the short side and cuts the centre, `squash` ignores the aspect ratio. */
export interface Fit {
  readonly size: number;
  readonly mode: "crop" | "squash";
}

/** An image as rows of RGB bytes, `data [height, width, 3]`. */
export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A published archive (`.tar.gz`) that unpacks to `folder`. */
export interface Archive {
  /** What the user called it: `cifar10`. */
  readonly name: string;
  readonly url: string;
  /** Hexadecimal MD5 of the archive. */
  readonly md5: string;
  /** The folder inside the archive that holds the data. */
  readonly folder: string;
}

/** Bytes had so far; `total` is 0 while unknown. */
export type ByteProgress = (done: number, total: number) => void;

/** File access. Every method rejects with the system's own message (`ENOENT: no such file ...`) when it fails. */
export interface Files {
  read(path: string): Promise<Uint8Array>;
  readText(path: string): Promise<string>;
  /**
   * Replaces a file whole or not at all: written beside it, flushed to the disk, then renamed over it.
   * Parts are written one after the other; on the disk the next is asked for when the last is written. The folder must exist.
   */
  writeAtomic(path: string, data: string | Uint8Array | Iterable<Uint8Array>): Promise<void>;
  append(path: string, text: string): Promise<void>;
  appendBytes(path: string, bytes: Uint8Array): Promise<void>;
  /** The entries of a folder, sorted by name (by code unit). Links are followed, dangling ones left out. */
  list(path: string): Promise<FileEntry[]>;
  exists(path: string): Promise<boolean>;
  stat(path: string): Promise<FileStat>;
  /** Creates the folder and its parents; no error where it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a file or a whole folder; no error where there is none. */
  remove(path: string): Promise<void>;
  /** The path from the root, with no `..` left in it. */
  absolute(path: string): string;
  /** Where downloads and decoded images are kept (`KILN_CACHE`, else the system's cache folder). It may not exist yet. */
  cacheDirectory(): string;
  /** How many images are worth decoding at once. */
  readonly parallelism: number;
  /**
   * Decodes PNG, JPEG, WebP, GIF (first frame), AVIF or TIFF to 8-bit sRGB: turned upright by its EXIF orientation,
   * transparency flattened onto white, grey spread over three channels.
   */
  decodeImage(bytes: Uint8Array, fit?: Fit): Promise<DecodedImage>;
  /**
   * Downloads (resuming what an earlier try left), checks and unpacks an archive under `cache`, once; returns the path of its
   * folder. A second call finds the folder and touches no network.
   */
  fetchArchive(archive: Archive, cache: string, onProgress?: ByteProgress): Promise<string>;
}
