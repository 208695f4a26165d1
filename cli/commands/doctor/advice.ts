// What to install where no adapter answers: the same words and commands as `npm run setup`.
import { existsSync, readFileSync } from "node:fs";
import { missingDriverFiles } from "../shared/driver-files.ts";
import { projectFile } from "../shared/versions.ts";

/** What is used of scripts/driver.js, which is JavaScript because it runs before anything is installed. */
interface DriverScript {
  parseOsRelease: (text: string) => unknown;
  planDriver: (machine: { platform: string; os: unknown; root: boolean; backports: boolean }) => { lines: string[] };
}

/** Lines for the user. */
export async function driverAdvice(): Promise<string[]> {
  const missing = missingDriverFiles();
  if (missing !== null) return [`no WebGPU adapter answers: ${missing}`];
  const script = projectFile("scripts/driver.js");
  if (!existsSync(script)) {
    return ["no WebGPU adapter answers: install the GPU's Vulkan driver, or Mesa's software one"];
  }
  const { parseOsRelease, planDriver } = (await import(script.href)) as DriverScript;
  const release = "/etc/os-release";
  const os = parseOsRelease(existsSync(release) ? readFileSync(release, "utf8") : "");
  const root = process.getuid?.() === 0;
  const { lines } = planDriver({ platform: process.platform, os, root, backports: false });
  if (lines.length > 0) return lines;
  return ["no WebGPU adapter answers: `npm run setup` installs Mesa's software Vulkan driver on this system"];
}
