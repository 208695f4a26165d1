// lr-finder.json and its picture.
import { files } from "#files";
import type { LrFinderResult } from "./find.ts";

/**
 * Writes a range test into a folder that exists: `lr-finder.json`, the result with null for what is not finite, and its curve as
 * `lr-finder.svg` and `.png`. Returns the names of the files.
 */
export async function saveLrFinder(dir: string, result: LrFinderResult): Promise<readonly string[]> {
  const lines = Object.entries(result).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  // The chart library is loaded when something is drawn: see report/index.ts.
  const [{ saveFigure }, { lrFinderCurve }] = await Promise.all([
    import("../report/figure.ts"),
    import("../report/figures/curves.ts"),
  ]);
  await files.writeAtomic(`${dir}/lr-finder.json`, `{\n${lines.join(",\n")}\n}\n`);
  return ["lr-finder.json", ...(await saveFigure(dir, lrFinderCurve(result), { svg: true }))];
}
