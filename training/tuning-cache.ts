// Measured kernel choices, kept between runs: one small file an adapter in the cache folder.
import { files } from "#files";
import type { ChoiceTable, Device } from "../engine/index.ts";

/** What a file holds. Another version's kernels may be faster or slower: their figures are not taken. */
interface Stored {
  readonly version: string;
  readonly choices: ChoiceTable;
}

/** The file of a device's choices. Drivers of one adapter share it. */
export function tuningFile({ info, family }: Device): string {
  const { vendor, architecture, name, description } = info;
  const adapter = [vendor, architecture, name || description, family].filter(Boolean).join("-");
  return `${files.cacheDirectory()}/tuning/${adapter.replace(/[^\w.]+/g, "-").toLowerCase()}.json`;
}

/** Gives the device the choices of earlier runs. Without any, or where the file cannot be read, nothing happens. */
export async function loadTuning(device: Device, version: string): Promise<ChoiceTable> {
  try {
    const stored = JSON.parse(await files.readText(tuningFile(device))) as Partial<Stored>;
    if (stored.version !== version || typeof stored.choices !== "object") return {};
    device.choices.load(stored.choices);
    return stored.choices;
  } catch {
    return {};
  }
}

/** Keeps the device's choices for the next run. A cache folder that cannot be written only costs measuring again. */
export async function saveTuning(device: Device, version: string): Promise<boolean> {
  const path = tuningFile(device);
  const stored: Stored = { version, choices: device.choices.measured };
  try {
    await files.makeDirectory(path.slice(0, path.lastIndexOf("/")));
    await files.writeAtomic(path, `${JSON.stringify(stored, null, 2)}\n`);
    return true;
  } catch {
    return false;
  }
}
