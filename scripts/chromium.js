// @ts-check
/**
 * The browser of the tests that open pages: where it is, and what to do where there is none. Decisions only, as in driver.js.
 */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { isOrResembles } from "./driver.js";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];
const applications = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/**
 * @param {NodeJS.ProcessEnv} [env] `CHROME_PATH` wins over what is found
 * @param {(path: string) => boolean} [exists]
 * @returns {string | null} the program's path
 */
export function findChromium(env = process.env, exists = existsSync) {
  const named = env["CHROME_PATH"];
  if (named) return exists(named) ? named : null;
  const folders = (env["PATH"] ?? "").split(delimiter).filter(Boolean);
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...found, ...applications].find(exists) ?? null;
}

/**
 * What to do where there is no Chromium. Debian's package is a real one; Ubuntu's only fetches a snap, which containers cannot run.
 * @param {{ platform: string, os: import("./driver.js").OsRelease, root: boolean }} machine
 * @returns {{ install: boolean, commands: string[], advice: string }} `install`: run `commands` now, otherwise print `advice`
 */
export function planChromium({ platform, os, root }) {
  const debian = platform === "linux" && isOrResembles(os, "debian") && !isOrResembles(os, "ubuntu");
  const commands = ["apt-get update", "apt-get install -y --no-install-recommends chromium"];
  if (debian && root) return { install: true, commands, advice: commands.join(" && ") };
  const command = debian
    ? commands.map((line) => `sudo ${line}`).join(" && ")
    : isOrResembles(os, "ubuntu")
      ? "sudo snap install chromium"
      : isOrResembles(os, "fedora", "rhel")
        ? "sudo dnf install chromium"
        : isOrResembles(os, "arch")
          ? "sudo pacman -S chromium"
          : "install Chrome or Chromium, or name it in CHROME_PATH";
  return { install: false, commands: [], advice: command };
}
