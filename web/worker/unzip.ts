// ZIP archives, read by the list at their end: what a browser or a system packs has its sizes only there.
import { unzipSync } from "fflate";

/** How much is unpacked between two reports, in bytes. */
const BITE = 2 ** 24;

interface Options {
  /** Whether a member is worth unpacking. */
  readonly wanted: (name: string) => boolean;
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * The files in an archive by their paths; those that are not wanted are empty. Runs in a worker: each bite blocks it.
 *
 * @throws Error of one line where it is damaged, locked with a password, or no archive
 */
export async function unpackZip(
  name: string,
  file: Blob,
  { wanted, onProgress }: Options,
): Promise<Map<string, Uint8Array>> {
  const archive = new Uint8Array(await file.arrayBuffer());
  const members = new Map<string, Uint8Array>();
  const bites: Set<string>[] = [];
  let room = 0;
  const list = (member: string, size: number): void => {
    members.set(slashes(member), new Uint8Array());
    if (!wanted(slashes(member))) return;
    if (room < size || bites.length === 0) {
      bites.push(new Set());
      room = BITE;
    }
    room -= size;
    bites.at(-1)!.add(member);
  };
  try {
    unzipSync(archive, {
      filter: ({ name: member, originalSize }) => {
        if (!/[/\\]$/.test(member)) list(member, originalSize);
        return false;
      },
    });
    let done = 0;
    const total = bites.reduce((sum, bite) => sum + bite.size, 0);
    for (const bite of bites) {
      const unpacked = unzipSync(archive, { filter: (member) => bite.has(member.name) });
      for (const [member, bytes] of Object.entries(unpacked)) members.set(slashes(member), bytes);
      onProgress((done += bite.size), total);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${name} cannot be unpacked (${reason}): it is damaged, locked with a password, or no ZIP archive`,
      {
        cause: error,
      },
    );
  }
  return members;
}

/** Some systems write the paths of theirs. */
const slashes = (path: string): string => path.replaceAll("\\", "/");
