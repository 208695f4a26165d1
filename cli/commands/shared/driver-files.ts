// Variables that tell the Vulkan loader which drivers there are.
import { existsSync } from "node:fs";
import { delimiter } from "node:path";

/**
 * One line where the variable that counts names no file that exists: the loader then looks nowhere else, so that a driver which is
 * installed does not answer. Null where it is not to blame.
 */
export function missingDriverFiles(env: NodeJS.ProcessEnv = process.env): string | null {
  // The loader reads the second, older name only where the first is not set.
  const name = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].find((each) => env[each]);
  if (name === undefined) return null;
  const paths = env[name]!.split(delimiter).filter(Boolean);
  if (paths.some((path) => existsSync(path))) return null;
  return `${name} is set to ${paths.join(", ")}, which is not there: unset it, or name a Vulkan driver's .json file`;
}
