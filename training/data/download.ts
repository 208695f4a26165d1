import { files } from "#files";
import type { Archive, ByteProgress } from "../files.ts";

/** Where the CIFAR archives are published. */
const BASE_URL = "https://www.cs.toronto.edu/~kriz";

/** The published archives by the name that `--data` takes; MD5 sums from https://www.cs.toronto.edu/~kriz/cifar.html. */
const ARCHIVES = {
  cifar10: {
    file: "cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
    folder: "cifar-10-batches-bin",
  },
  cifar100: {
    file: "cifar-100-binary.tar.gz",
    md5: "03b5dce01913d631647c71ecec9e9cb8",
    folder: "cifar-100-binary",
  },
} as const;

export type Downloadable = keyof typeof ARCHIVES;

export interface DownloadOptions {
  /** A mirror: the folder address that holds the archives. */
  readonly baseUrl?: string | undefined;
  /** Where archives are kept, instead of `files.cacheDirectory()`. */
  readonly cache?: string | undefined;
  readonly onProgress?: ByteProgress | undefined;
}

export function isDownloadable(name: string): name is Downloadable {
  return Object.hasOwn(ARCHIVES, name);
}

/**
 * The folder of the unpacked CIFAR files, downloaded and checked the first time.
 * @throws where the network, the MD5 sum or the unpacking fails; the message names the address and what to do by hand.
 */
export function downloadCifar(name: Downloadable, options: DownloadOptions = {}): Promise<string> {
  const { file, md5, folder } = ARCHIVES[name];
  const base = (options.baseUrl ?? BASE_URL).replace(/\/+$/, "");
  const archive: Archive = { name, url: `${base}/${file}`, md5, folder };
  return files.fetchArchive(archive, options.cache ?? files.cacheDirectory(), options.onProgress);
}
