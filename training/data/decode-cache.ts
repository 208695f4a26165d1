import { files } from "#files";
import type { Decoded, DecodeOptions, ImageFile, Skipped } from "./decode-files.ts";

/**
 * A cache file: 8 bytes magic, 8 bytes length of the header (little endian), the header as JSON, then the images' bytes.
 * Its name is a hash of everything that the images depend on, so a changed file, size or option is simply another name.
 */
const MAGIC = "KILNIMG1";
const PREFIX = 16;

interface Header {
  readonly used: number;
  readonly skipped: readonly Skipped[];
  readonly bytes: number;
}

async function cachePath(folder: string, list: readonly ImageFile[], options: DecodeOptions): Promise<string> {
  const { imageSize, resize, limit } = options;
  const key = {
    version: 1,
    folder: files.absolute(folder),
    imageSize,
    resize,
    limit: Math.min(limit ?? list.length, list.length),
    files: list.map((file) => [file.path, file.size, file.modified]),
  };
  const text = new TextEncoder().encode(JSON.stringify(key));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const name = Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${cacheFolder(options)}/${name}.images`;
}

function cacheFolder(options: DecodeOptions): string {
  return `${options.cache ?? files.cacheDirectory()}/decoded`;
}

/** The images decoded by an earlier run; undefined where there are none, or where the file is damaged. */
export async function readDecoded(
  folder: string,
  list: readonly ImageFile[],
  options: DecodeOptions,
): Promise<Decoded | undefined> {
  const path = await cachePath(folder, list, options);
  if (!(await files.exists(path))) return undefined;
  const bytes = await files.read(path);
  const header = parseHeader(bytes);
  if (!header) return undefined;
  return { used: header.used, skipped: header.skipped, images: bytes.subarray(bytes.length - header.bytes) };
}

function parseHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < PREFIX || new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) return undefined;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8, true));
  if (PREFIX + length > bytes.length) return undefined;
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(PREFIX, PREFIX + length))) as Header;
    return PREFIX + length + header.bytes === bytes.length ? header : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps decoded images for the next run. A cache that cannot be written is a warning: the images are there all the same. */
export async function writeDecoded(
  folder: string,
  list: readonly ImageFile[],
  options: DecodeOptions,
  decoded: Decoded,
): Promise<void> {
  const header: Header = { used: decoded.used, skipped: decoded.skipped, bytes: decoded.images.length };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const prefix = new Uint8Array(PREFIX);
  prefix.set(new TextEncoder().encode(MAGIC));
  new DataView(prefix.buffer).setBigUint64(8, BigInt(text.length), true);
  try {
    await files.makeDirectory(cacheFolder(options));
    await files.writeAtomic(await cachePath(folder, list, options), [prefix, text, decoded.images]);
  } catch (error) {
    options.onWarning?.(`data: decoded images could not be kept for the next run: ${(error as Error).message}`);
  }
}
