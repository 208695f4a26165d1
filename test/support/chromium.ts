// The browser of the tests that open pages.
import { existsSync, readFileSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";
import { findChromium, planChromium } from "../../scripts/chromium.js";
import { parseOsRelease } from "../../scripts/driver.js";

/** Null where there is none. */
export const executablePath = findChromium();

// Root, as in containers, can have no sandbox; the pages are our own.
const ALWAYS = ["--no-sandbox"];
/** WebGPU on SwiftShader, which Chromium brings along: the same on every machine. */
export const WEBGPU_FLAGS: readonly string[] = [
  ...ALWAYS,
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/** Says once, loudly, what is not tested where there is no Chromium, and how to get one. Returns whether that is so. */
export function skipsWithoutChromium(what: string): boolean {
  if (executablePath !== null) return false;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const { advice } = planChromium({ platform: process.platform, os: parseOsRelease(release), root: false });
  console.warn(`SKIPPED: ${what}, there is no Chromium. To install one: ${advice}`);
  return true;
}

export function launchChromium({ webgpu = false, flags = [] as readonly string[] } = {}): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath!, args: [...(webgpu ? WEBGPU_FLAGS : ALWAYS), ...flags] });
}
