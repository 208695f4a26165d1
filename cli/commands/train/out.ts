// Where a run may not go.
import { existsSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { PARTS } from "../../../training/data/image-folder.ts";
import { isFolder, sizeIsFixed } from "../shared/data-flags.ts";
import { UsageError } from "../shared/errors.ts";
import type { TrainFlags } from "./flags.ts";

/** @throws UsageError where the run's folder would lie where class folders do: whoever reads these might take it for one */
export async function refuseAmongImages({ data, out = "runs" }: Pick<TrainFlags, "data" | "out">): Promise<void> {
  if (!isFolder(data) || (await sizeIsFixed(data))) return;
  // In the very folder it is the report's pictures that would be a class.
  const [part] = (relative(data, out) || "pictures").split(sep);
  const elsewhere = part.startsWith(".") || part.includes(":"); // "..", hidden, or on another drive
  if (elsewhere || (existsSync(join(data, "train")) && !PARTS.includes(part))) return;
  throw new UsageError(
    `a run in ${out} would lie among the images of ${data}, as if it were a class: choose an --out elsewhere`,
  );
}
