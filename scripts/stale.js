// @ts-check
/** Whether the installed packages and the build still belong to the sources. Reads the disk, changes nothing. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What tsconfig.build.json compiles, and what else decides the result. */
const sourceFolders = ["engine", "shaders", "nn", "training", "cli/commands"];
const library = "dist/kiln.browser.js";
const buildFiles = [
  "tsconfig.json",
  "tsconfig.build.json",
  "scripts/embed-shaders.js",
  "vite.library.config.ts",
  "web/library.ts",
];
const generated = ["shaders/kernels.ts", "shaders/ladder.ts"];

/**
 * @param {string} have such as "20.20.2"
 * @param {string} least such as "20.19"
 */
export function nodeIsTooOld(have, least) {
  const [major = 0, minor = 0] = have.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split(".").map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

/**
 * @typedef {{ packages?: Record<string, { version?: string, optional?: boolean }> }} Lock
 */

/**
 * Compares contents, not times: a branch switch changes the times of files that are the same.
 * @param {Lock} wanted package-lock.json
 * @param {Lock} installed node_modules/.package-lock.json, which npm writes last
 */
export function locksDiffer(wanted, installed) {
  const have = installed.packages ?? {};
  return Object.entries(wanted.packages ?? {}).some(([path, entry]) => {
    if (path === "") return false; // the project itself
    const found = have[path];
    // Packages for other platforms are left out by npm.
    if (!found) return !entry.optional;
    return found.version !== entry.version;
  });
}

/** @param {string} root @returns {boolean} */
export function packagesAreStale(root) {
  try {
    const read = (/** @type {string} */ path) =>
      /** @type {Lock} */ (JSON.parse(readFileSync(join(root, path), "utf8")));
    return locksDiffer(read("package-lock.json"), read("node_modules/.package-lock.json"));
  } catch {
    return true;
  }
}

/**
 * @param {number[]} inputs modification times
 * @param {(number | undefined)[]} outputs modification times, undefined where missing
 */
export function outputsAreOlder(inputs, outputs) {
  if (outputs.length === 0) return true;
  return outputs.some((time) => time === undefined || inputs.some((input) => input > time));
}

/** @param {string} path @returns {number | undefined} */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/**
 * Everything below a folder, the folders included: a deleted file shows only in its folder's time.
 * @param {string} root
 * @param {string} folder
 * @returns {string[]} paths relative to `root`
 */
function walk(root, folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  const below = entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? walk(root, path) : [path];
  });
  return [folder, ...below];
}

/** @param {string} root @returns {boolean} whether dist/ is missing or older than what it is built from */
export function buildIsStale(root) {
  // The sources, which the tests load, need them too.
  if (generated.some((path) => modified(join(root, path)) === undefined)) return true;
  const inputs = sourceFolders.flatMap((folder) => walk(root, folder)).filter((path) => !generated.includes(path));
  const sources = inputs.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
  const outputs = [...sources, ...generated].map((path) => `dist/${path.replace(/\.ts$/, ".js")}`).concat(library);
  const times = [...inputs, ...buildFiles].map((path) => modified(join(root, path)) ?? Infinity);
  return outputsAreOlder(
    [Math.max(...times)],
    outputs.map((path) => modified(join(root, path))),
  );
}
