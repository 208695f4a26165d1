// @ts-check
/**
 * Makes a fresh clone ready: packages, build, and a WebGPU adapter that answers. `npm start` and `npm test` run it first, so
 * it uses Node's own modules alone and says nothing where everything is there. `npm run setup` names the adapter.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium, planChromium } from "./chromium.js";
import { aptCommands, backportsSuite, parseOsRelease, planDriver, showsSuite, stanzaFile } from "./driver.js";
import { buildIsStale, nodeIsTooOld, packagesAreStale } from "./stale.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const oldestNode = "20.19";
const probeLimit = 60_000; // ms; a cold NVIDIA driver takes several seconds, lavapipe 0.2
const aptLimit = 900_000; // ms

/** A failure that the user reads: its message is the whole output. */
class SetupError extends Error {}

/** @param {string} line */
function say(line) {
  process.stderr.write(`setup: ${line.replaceAll("\n", "\n  ")}\n`);
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * Runs npm, the very one that started us where one did, with its output shown.
 * @param {string[]} args
 */
function npm(args) {
  /** @type {import("node:child_process").SpawnSyncOptions} */
  const options = { cwd: root, stdio: ["ignore", 2, 2] };
  const script = process.env["npm_execpath"];
  const result =
    script && basename(script).startsWith("npm")
      ? spawnSync(process.execPath, [script, ...args], options)
      : spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
  if (result.status !== 0) throw new SetupError(`npm ${args.join(" ")} failed, see above`);
}

function preparePackages() {
  if (!packagesAreStale(root)) return;
  say("installing the packages and building (npm ci)");
  npm(["ci", "--include=dev"]);
}

function prepareBuild() {
  if (!buildIsStale(root)) return;
  say("building (npm run build)");
  npm(["run", "--silent", "build"]);
}

/**
 * @returns {string | null} the adapter's name, null where Dawn works and finds none
 * @throws {SetupError} where Dawn itself cannot be loaded
 */
function probeAdapter() {
  const result = spawnSync(process.execPath, [join(root, "scripts", "probe-adapter.js")], {
    cwd: root,
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
    timeout: probeLimit,
    killSignal: "SIGKILL",
  });
  const line = result.stdout.trim().split("\n").at(-1);
  if (!line) {
    const how = result.error ? `within ${probeLimit / 1000} s` : `(it ended with ${result.signal ?? result.status})`;
    throw new SetupError(`the GPU driver did not answer ${how}; run node scripts/probe-adapter.js to see its messages`);
  }
  const answer = /** @type {{ adapter?: string | null, error?: string }} */ (JSON.parse(line));
  if (answer.error !== undefined) throw new SetupError(`Dawn (the webgpu package) does not load: ${answer.error}`);
  return answer.adapter ?? null;
}

/**
 * @param {string} command a shell line; its output is shown only in part, and only where it fails
 * @returns {{ failure: string | undefined, unreachable: boolean }}
 */
function apt(command) {
  const result = spawnSync("sh", ["-c", command], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    timeout: aptLimit,
  });
  const output = `${result.stderr}\n${result.stdout}`;
  // `apt-get update` exits 0 where it could fetch nothing.
  const unreachable = /^([WE]: (Failed to fetch|Unable to fetch|Some index files failed)|Err:)/m.test(output);
  if (result.status === 0) return { failure: undefined, unreachable };
  const reason = /^E: (.{1,240})/m.exec(output)?.[1] ?? result.error?.message ?? `exit status ${result.status}`;
  const name = command.startsWith("uri=") ? "adding the backports to apt's sources" : command;
  return { failure: `${name}: ${reason}`, unreachable };
}

/** @param {import("./driver.js").OsRelease} os @param {string | undefined} suite */
function installDriver(os, suite) {
  say(`no WebGPU adapter answers: installing Mesa's software Vulkan driver with apt${suite ? ` (from ${suite})` : ""}`);
  const [update = "", ...known] = aptCommands(os, { backports: true, sudo: false });
  let { failure, unreachable } = apt(update);
  // Only fresh lists tell whether the suite is there already.
  const adds = suite !== undefined && !hasBackports(suite) && !existsSync(stanzaFile(suite));
  const commands = adds ? aptCommands(os, { backports: false, sudo: false }).slice(1) : known;
  for (const command of failure === undefined ? commands : []) {
    const result = apt(command);
    unreachable ||= result.unreachable;
    failure = result.failure;
    if (failure !== undefined) break;
  }
  if (failure === undefined) return;
  // On a mirror without the suite every later `apt-get update` of the user would fail.
  if (adds) rmSync(stanzaFile(suite), { force: true });
  if (unreachable) failure = "apt could not fetch from its mirror: is the network there?";
  throw new SetupError(`the driver could not be installed: ${failure}`);
}

/** @param {string | undefined} suite */
function hasBackports(suite) {
  if (!suite) return false;
  return showsSuite(spawnSync("apt-cache", ["policy"], { encoding: "utf8" }).stdout ?? "", suite);
}

/** @returns {string} the adapter's name */
function prepareAdapter() {
  const found = probeAdapter();
  if (found !== null) return found;
  const os = parseOsRelease(readText("/etc/os-release"));
  const suite = backportsSuite(os);
  const isRoot = process.getuid?.() === 0;
  const plan = planDriver({ platform: process.platform, os, root: isRoot, backports: hasBackports(suite) });
  if (!plan.install) throw new SetupError(plan.lines.join("\n"));
  installDriver(os, suite);
  const installed = probeAdapter();
  if (installed !== null) return installed;
  throw new SetupError(
    "Mesa's Vulkan driver is installed, but Dawn still finds no adapter (Mesa 22.3, say, is too old for it)",
  );
}

/** For `npm test`. Going without skips some tests, so nothing here stops it. */
function prepareChromium() {
  if (findChromium() !== null) return;
  const os = parseOsRelease(readText("/etc/os-release"));
  const plan = planChromium({ platform: process.platform, os, root: process.getuid?.() === 0 });
  let reason = "the tests that open pages need Chromium";
  if (plan.install) {
    say("installing Chromium with apt, for the tests that open pages");
    for (const command of plan.commands) {
      const { failure, unreachable } = apt(command);
      if (failure === undefined && !unreachable) continue;
      reason = `Chromium could not be installed (${failure ?? "apt could not fetch from its mirror"})`;
      break;
    }
    if (findChromium() !== null) return;
  }
  say(`${reason}; they are SKIPPED. To run them:\n${plan.advice}`);
}

/** @param {{ driverOnly: boolean, tests: boolean }} options */
function main({ driverOnly, tests }) {
  if (nodeIsTooOld(process.versions.node, oldestNode))
    throw new SetupError(`Node ${oldestNode} or newer is needed, this is ${process.versions.node}`);
  if (!driverOnly) {
    preparePackages();
    prepareBuild();
  }
  const adapter = prepareAdapter();
  if (tests) prepareChromium();
  if (process.env["npm_lifecycle_event"] === "setup" || !process.env["npm_lifecycle_event"])
    console.log(`ready: ${adapter}`);
}

try {
  main({ driverOnly: process.argv.includes("--driver-only"), tests: process.argv.includes("--tests") });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
