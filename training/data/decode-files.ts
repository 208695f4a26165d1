import { files } from "#files";
import type { Fit } from "../files.ts";
import type { ImageSet, LoadProgress } from "./dataset.ts";
import { readDecoded, writeDecoded } from "./decode-cache.ts";

/** An image file: its path below the data folder, its class, and what tells whether it has changed. */
export interface ImageFile {
  readonly path: string;
  readonly label: number;
  readonly size: number;
  readonly modified: number;
}

/** A file that could not be decoded. */
export interface Skipped {
  /** Position in the list of files. */
  readonly index: number;
  readonly reason: string;
  /** It could not even be read, for a reason that may pass: rights, a network that stutters. */
  readonly unread?: true;
}

/** The decoded files: the first `used` of the list, less the skipped ones, `images [N, size, size, 3]`. */
export interface Decoded {
  readonly used: number;
  readonly skipped: readonly Skipped[];
  readonly images: Uint8Array;
}

export interface DecodeOptions {
  /** Side of the decoded images in pixels. */
  readonly imageSize: number;
  readonly resize: Fit["mode"];
  /** Keep so many images: the first ones that can be decoded. */
  readonly limit?: number | undefined;
  /** Refuse a file that cannot be decoded instead of skipping it. */
  readonly strict?: boolean | undefined;
  /** Where decoded images are kept, instead of `files.cacheDirectory()`. */
  readonly cache?: string | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Largest array of bytes that Node 20 and browsers can make. */
const MOST_BYTES = 2 ** 32 - 1;
/** Progress is told every so many images. */
const STEP = 256;

/**
 * Decodes image files in their order, several at a time; the second time they come from the cache.
 * @throws where a class has no image that can be decoded, or with `strict` any file has none.
 */
export async function decodeFiles(
  folder: string,
  list: readonly ImageFile[],
  classes: readonly string[],
  options: DecodeOptions,
): Promise<ImageSet> {
  const cached = await readDecoded(folder, list, options);
  const decoded = cached ?? (await decodeAll(folder, list, options));
  report(folder, list, decoded.skipped, options);
  const bad = new Set(decoded.skipped.map((skipped) => skipped.index));
  const kept = list.slice(0, decoded.used).filter((_, index) => !bad.has(index));
  // Only a complete set tells that a class is lost: a limited one may just not have come to it.
  if (decoded.used === list.length) everyClassHasImages(folder, kept, list, classes);
  if (!cached && !decoded.skipped.some(({ unread }) => unread)) await writeDecoded(folder, list, options, decoded);
  const labels = classes.length > 256 ? new Uint16Array(kept.length) : new Uint8Array(kept.length);
  kept.forEach((file, i) => (labels[i] = file.label));
  return {
    count: kept.length,
    height: options.imageSize,
    width: options.imageSize,
    channels: 3,
    images: decoded.images,
    labels,
    paths: kept.map((file) => file.path),
    skipped: decoded.skipped.length,
  };
}

async function decodeAll(folder: string, list: readonly ImageFile[], options: DecodeOptions): Promise<Decoded> {
  const want = Math.min(list.length, options.limit ?? Infinity);
  const bytes = options.imageSize ** 2 * 3;
  checkSize(want, bytes, options.imageSize);
  const images = new Uint8Array(want * bytes);
  const skipped: Skipped[] = [];
  let used = 0;
  let kept = 0;
  // Where a limit cuts the list, skipped files are made up for by the next ones.
  while (kept < want && used < list.length && !(options.strict && skipped.length > 0)) {
    const from = used;
    const batch = list.slice(from, from + want - kept);
    const bad = await decodeBatch(folder, batch, images.subarray(kept * bytes), options, from);
    close(images.subarray(kept * bytes), batch.length, bytes, bad, from);
    skipped.push(...bad);
    used += batch.length;
    kept += batch.length - bad.length;
  }
  return { used, skipped, images: images.subarray(0, kept * bytes) };
}

function checkSize(count: number, bytes: number, size: number): void {
  if (count * bytes <= MOST_BYTES) return;
  const most = Math.floor(MOST_BYTES / bytes);
  throw new Error(
    `data: ${count} images of ${size} x ${size} need ${((count * bytes) / 1e9).toFixed(1)} GB, more than one array holds; ` +
      `use a smaller --image-size${most > 0 ? ` or --limit ${most}` : ""}`,
  );
}

/** Decodes `batch` into `to`, every image in its own place; returns those that failed, sorted. */
async function decodeBatch(
  folder: string,
  batch: readonly ImageFile[],
  to: Uint8Array,
  options: DecodeOptions,
  first: number,
): Promise<Skipped[]> {
  const fit: Fit = { size: options.imageSize, mode: options.resize };
  const bytes = options.imageSize ** 2 * 3;
  const bad: Skipped[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < batch.length; i = next++) {
      let file: Uint8Array | null = null;
      try {
        file = await files.read(`${folder}/${batch[i].path}`);
        to.set((await files.decodeImage(file, fit)).data, i * bytes);
      } catch (error) {
        const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
        bad.push({ index: first + i, reason, ...(file === null && { unread: true }) });
        if (options.strict) next = batch.length;
      }
      done += 1;
      if (done % STEP === 0 || done === batch.length) {
        options.onProgress?.({ phase: "decode", done: first + done, total: first + batch.length });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(4, files.parallelism * 2) }, worker));
  return bad.sort((a, b) => a.index - b.index);
}

/** Moves the images together over the places of those that failed. */
function close(images: Uint8Array, count: number, bytes: number, bad: readonly Skipped[], first: number): void {
  const failed = new Set(bad.map((skipped) => skipped.index - first));
  if (failed.size === 0) return;
  let to = 0;
  for (let i = 0; i < count; i++) {
    if (failed.has(i)) continue;
    images.copyWithin(to * bytes, i * bytes, (i + 1) * bytes);
    to += 1;
  }
}

function report(folder: string, list: readonly ImageFile[], skipped: readonly Skipped[], options: DecodeOptions): void {
  if (skipped.length === 0) return;
  const name = (bad: Skipped): string => `${folder}/${list[bad.index].path} (${bad.reason})`;
  if (options.strict) {
    throw new Error(
      `data: cannot decode ${name(skipped[0])}; mend or remove it, or leave out --strict to skip such files`,
    );
  }
  const shown = skipped.slice(0, 3).map(name).join(", ");
  const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : "";
  options.onWarning?.(
    `data: skipped ${skipped.length} of ${list.length} images that cannot be decoded: ${shown}${more}`,
  );
}

function everyClassHasImages(
  folder: string,
  kept: readonly ImageFile[],
  list: readonly ImageFile[],
  classes: readonly string[],
): void {
  const present = new Set(kept.map((file) => file.label));
  const lost = list.find((file) => !present.has(file.label));
  if (!lost) return;
  throw new Error(
    `data: no image of class ${classes[lost.label]} can be decoded, such as ${folder}/${lost.path}; use PNG, JPEG, WebP, GIF, AVIF or TIFF files`,
  );
}
