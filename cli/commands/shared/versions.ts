// The project's own files and versions.
import { existsSync, readFileSync } from "node:fs";

/** The project's root is the nearest folder above this file with a package.json: the sources and the build lie at different depths. */
function findRoot(): URL {
  for (let at = new URL("./", import.meta.url); ; at = new URL("../", at)) {
    if (existsSync(new URL("package.json", at)) || at.pathname === "/") return at;
  }
}

const root = findRoot();

/** A file of the project. */
export const projectFile = (path: string): URL => new URL(path, root);

function versionOf(manifest: string): string {
  try {
    const { version } = JSON.parse(readFileSync(projectFile(manifest), "utf8")) as { version?: string };
    return version ?? "unknown";
  } catch {
    return "unknown";
  }
}

export interface Versions {
  readonly kiln: string;
  readonly node: string;
  readonly webgpu: string;
}

export const versions = (): Versions => ({
  kiln: versionOf("package.json"),
  node: process.versions.node,
  webgpu: versionOf("node_modules/webgpu/package.json"),
});
