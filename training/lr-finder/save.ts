// lr-finder.json.
import { files } from "#files";
import type { LrFinderResult } from "./find.ts";

/** Writes `lr-finder.json` into a folder that exists: the result, with null for what is not finite. Returns the names of the files. */
export async function saveLrFinder(dir: string, result: LrFinderResult): Promise<readonly string[]> {
  const lines = Object.entries(result).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  await files.writeAtomic(`${dir}/lr-finder.json`, `{\n${lines.join(",\n")}\n}\n`);
  return ["lr-finder.json"];
}
