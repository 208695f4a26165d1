// ZIP archives, read by the list at their end: what a browser or a system packs has its sizes only there.
import { unzipSync, type UnzipFileFilter, type Unzipped } from "fflate";

/** How much is unpacked between two reports, in bytes. */
const BITE = 2 ** 24;

interface Options {
  /** Whether a member is worth unpacking. */
  readonly wanted: (name: string) => boolean;
  /** Told how many bytes will be unpacked; throws where they are too many. */
  readonly admit: (bytes: number) => void;
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * The files in an archive by their paths; those that are not wanted are empty. Runs in a worker: each bite blocks it.
 *
 * @throws Error of one line where it is damaged, locked with a password, or no archive
 */
export function unpackZip(
  name: string,
  archive: Uint8Array,
  { wanted, admit, onProgress }: Options,
): Map<string, Uint8Array> {
  const members = new Map<string, Uint8Array>();
  const bites: Set<string>[] = [];
  let [room, bytes] = [0, 0];
  const list = (member: string, size: number): void => {
    members.set(slashes(member), new Uint8Array());
    if (!wanted(slashes(member))) return;
    if (room < size || bites.length === 0) {
      bites.push(new Set());
      room = BITE;
    }
    room -= size;
    bytes += size;
    bites.at(-1)!.add(member);
  };
  unzip(name, archive, ({ name: member, originalSize }) => {
    if (!/[/\\]$/.test(member)) list(member, originalSize);
    return false;
  });
  admit(bytes);
  let done = 0;
  const total = bites.reduce((sum, bite) => sum + bite.size, 0);
  for (const bite of bites) {
    const unpacked = unzip(name, archive, (member) => bite.has(member.name));
    for (const [member, data] of Object.entries(unpacked)) members.set(slashes(member), data);
    onProgress((done += bite.size), total);
  }
  return members;
}

function unzip(name: string, archive: Uint8Array, filter: UnzipFileFilter): Unzipped {
  try {
    return unzipSync(archive, { filter });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${name} cannot be unpacked (${reason}): it is damaged, locked with a password, or no ZIP archive`;
    throw new Error(message, { cause });
  }
}

/** Some systems write the paths of theirs. */
const slashes = (path: string): string => path.replaceAll("\\", "/");
