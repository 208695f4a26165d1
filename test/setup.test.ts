import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { findChromium, planChromium } from "../scripts/chromium.js";
import { aptCommands, backportsSuite, parseOsRelease, planDriver, showsSuite } from "../scripts/driver.js";
import { buildIsStale, locksDiffer, nodeIsTooOld, outputsAreOlder, packagesAreStale } from "../scripts/stale.js";

const bookworm = parseOsRelease(
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
);
const trixie = parseOsRelease("ID=debian\nVERSION_ID='13'\nVERSION_CODENAME=trixie\n");
const bullseye = parseOsRelease('PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n');
const noble = parseOsRelease('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n');
const mint = parseOsRelease('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nVERSION_CODENAME=wilma\n');
const fedora = parseOsRelease("ID=fedora\nVERSION_ID=43\n");
const arch = parseOsRelease('ID=arch\nPRETTY_NAME="Arch Linux"\n');
const unknown = parseOsRelease("");

const on = (os: typeof bookworm, root: boolean, backports = false) =>
  planDriver({ platform: "linux", os, root, backports });
const install = "apt-get install -y --no-install-recommends ";

describe("the commands for a driver", () => {
  it("reads os-release with and without quotes", () => {
    expect(bookworm).toEqual({
      id: "debian",
      like: [],
      version: 12,
      codename: "bookworm",
      name: "Debian GNU/Linux 12 (bookworm)",
    });
    expect(mint.like).toEqual(["ubuntu", "debian"]);
    expect([trixie.version, unknown.version]).toEqual([13, 0]);
  });

  it("takes Debian 12's driver from the backports, and no other release's", () => {
    expect(backportsSuite(bookworm)).toBe("bookworm-backports");
    for (const os of [trixie, noble, mint, fedora, unknown]) expect(backportsSuite(os)).toBeUndefined();
    const commands = on(bookworm, true).commands;
    expect(commands).toHaveLength(4);
    expect([commands[0], commands[2]]).toEqual(["apt-get update", "apt-get update"]);
    expect(commands[1]).toContain("/etc/apt/sources.list.d/bookworm-backports.sources");
    expect(commands[3]).toBe(`${install}-t bookworm-backports mesa-vulkan-drivers`);
  });

  it("leaves the stanza out where apt knows the backports already", () => {
    expect(on(bookworm, true, true).commands).toEqual([
      "apt-get update",
      `${install}-t bookworm-backports mesa-vulkan-drivers`,
    ]);
  });

  it("names no mirror: the stanza asks apt for the one in use", () => {
    for (const os of [bookworm, trixie, noble])
      expect(aptCommands(os, { backports: false, sudo: true }).join("\n")).not.toMatch(/https?:|\.(org|com|net)\b/);
  });

  it.each([
    ["Debian 13", trixie],
    ["Ubuntu 24.04", noble],
    ["a relative of Ubuntu", mint],
  ])("takes %s's own driver", (_name, os) => {
    expect(on(os, true)).toEqual({
      install: true,
      commands: ["apt-get update", `${install}mesa-vulkan-drivers`],
      lines: [],
    });
  });

  it("prints every command with sudo, and runs none, where the user is not root", () => {
    for (const os of [bookworm, trixie, noble]) {
      const plan = on(os, false);
      expect(plan.install).toBe(false);
      for (const command of plan.commands) {
        expect(command).toMatch(/^sudo |\| sudo tee /);
        expect(plan.lines).toContain(`  ${command}`);
      }
      expect(plan.commands.at(-1)).toMatch(/^sudo apt-get install .*mesa-vulkan-drivers$/);
    }
  });

  it("installs nothing on other systems, root or not", () => {
    expect(on(fedora, true).commands).toEqual(["dnf install mesa-vulkan-drivers"]);
    expect(on(fedora, false).commands).toEqual(["sudo dnf install mesa-vulkan-drivers"]);
    expect(on(arch, false).commands).toEqual(["sudo pacman -S vulkan-swrast"]);
    for (const os of [fedora, arch, unknown, bullseye]) expect(on(os, true).install).toBe(false);
    expect(on(bullseye, true).lines[0]).toMatch(/Debian GNU\/Linux 11.*Debian 12 or newer/);
    for (const platform of ["darwin", "win32", "freebsd"]) {
      const plan = planDriver({ platform, os: unknown, root: true, backports: false });
      expect([plan.install, plan.commands.length, plan.lines.length]).toEqual([false, 0, 1]);
    }
  });

  it("finds the suite in apt-cache's words, and only the whole name", () => {
    const policy = (suite: string) =>
      ` 100 mirror/debian ${suite}/main amd64 Packages\n     release o=Debian Backports,n=${suite},l=Debian Backports\n`;
    expect(showsSuite(policy("bookworm-backports"), "bookworm-backports")).toBe(true);
    expect(showsSuite(policy("bookworm-backports-sloppy"), "bookworm-backports")).toBe(false);
    expect(showsSuite(policy("bookworm-updates"), "bookworm-backports")).toBe(false);
    expect(showsSuite("", "bookworm-backports")).toBe(false);
  });
});

describe("Chromium, for the tests that open pages", () => {
  const plan = (os: typeof bookworm, root: boolean) => planChromium({ platform: "linux", os, root });

  it("is installed by root on Debian alone: Ubuntu's package only fetches a snap", () => {
    for (const os of [bookworm, trixie]) {
      expect(plan(os, true)).toMatchObject({ install: true, commands: ["apt-get update", `${install}chromium`] });
      expect(plan(os, false).install).toBe(false);
      expect(plan(os, false).advice).toBe(`sudo apt-get update && sudo ${install}chromium`);
    }
    for (const os of [noble, mint, fedora, arch, unknown]) expect(plan(os, true).install).toBe(false);
    expect(plan(noble, true).advice).toBe("sudo snap install chromium");
    expect(planChromium({ platform: "darwin", os: unknown, root: true }).advice).toContain("CHROME_PATH");
  });

  it("is found on the PATH, or where CHROME_PATH says, which must exist", () => {
    const exists =
      (...paths: string[]) =>
      (path: string) =>
        paths.includes(path);
    expect(findChromium({ PATH: "/bin:/usr/bin" }, exists("/usr/bin/chromium", "/bin/google-chrome"))).toBe(
      "/usr/bin/chromium",
    );
    expect(findChromium({ PATH: "/bin", CHROME_PATH: "/opt/chrome" }, exists("/opt/chrome", "/bin/chromium"))).toBe(
      "/opt/chrome",
    );
    expect(findChromium({ PATH: "/bin", CHROME_PATH: "/opt/chrome" }, exists("/bin/chromium"))).toBeNull();
    expect(findChromium({}, exists())).toBeNull();
  });
});

describe("staleness", () => {
  it("compares Node's version by number", () => {
    for (const version of ["18.20.4", "20.9.0", "20.18.3"]) expect(nodeIsTooOld(version, "20.19")).toBe(true);
    for (const version of ["20.19.0", "20.20.2", "22.0.0", "100.1.0"])
      expect(nodeIsTooOld(version, "20.19")).toBe(false);
  });

  it("sees a package that is missing or of another version, but not another platform's", () => {
    const wanted = {
      packages: {
        "": { version: "0.1.0" },
        "node_modules/a": { version: "1.0.0" },
        "node_modules/a-win32": { version: "1.0.0", optional: true },
      },
    };
    const have = { "node_modules/a": { version: "1.0.0" } };
    expect(locksDiffer(wanted, { packages: have })).toBe(false);
    expect(locksDiffer(wanted, { packages: {} })).toBe(true);
    expect(locksDiffer(wanted, {})).toBe(true);
    expect(locksDiffer(wanted, { packages: { "node_modules/a": { version: "1.0.1" } } })).toBe(true);
    expect(locksDiffer(wanted, { packages: { ...have, "node_modules/a-win32": { version: "0.9.0" } } })).toBe(true);
  });

  it("sees outputs that are missing or older than an input", () => {
    expect(outputsAreOlder([1, 2], [2, 3])).toBe(false);
    expect(outputsAreOlder([1, 4], [3, 5])).toBe(true);
    expect(outputsAreOlder([1, 2], [3, undefined])).toBe(true);
    expect(outputsAreOlder([1], [])).toBe(true);
  });
});

describe("staleness of a checkout", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  /** A built checkout whose sources are of time 1000 and whose outputs are of time 2000 (seconds). */
  function checkout() {
    const root = mkdtempSync(join(tmpdir(), "kiln-setup-"));
    folders.push(root);
    const write = (path: string, time: number) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), "{}");
      utimesSync(join(root, path), time, time);
    };
    const sources = ["engine/gpu/a.ts", "nn/b.ts", "training/c.ts", "cli/commands/d.ts", "shaders/e.wgsl"];
    const configs = ["tsconfig.json", "tsconfig.build.json", "vite.library.config.ts", "scripts/embed-shaders.js"];
    for (const path of [...sources, ...configs, "web/library.ts"]) write(path, 1000);
    for (const name of ["kernels", "ladder"]) write(`shaders/${name}.ts`, 3000); // written by every build: no sign of a change
    for (const path of ["engine/gpu/a", "nn/b", "training/c", "cli/commands/d", "shaders/kernels", "shaders/ladder"])
      write(`dist/${path}.js`, 2000);
    write("dist/kiln.browser.js", 2000);
    const settle = () => {
      for (const folder of ["engine/gpu", "engine", "nn", "training", "cli/commands", "shaders"])
        utimesSync(join(root, folder), 1000, 1000);
    };
    settle();
    return { root, write, settle };
  }

  it("leaves a finished build alone", () => {
    expect(buildIsStale(checkout().root)).toBe(false);
  });

  it.each(["engine/gpu/a.ts", "shaders/e.wgsl", "tsconfig.json", "scripts/embed-shaders.js", "web/library.ts"])(
    "sees a change of %s",
    (path) => {
      const { root, write, settle } = checkout();
      write(path, 2500);
      settle();
      expect(buildIsStale(root)).toBe(true);
    },
  );

  it("sees a source without output, whatever its time, and a deleted source", () => {
    const added = checkout();
    added.write("nn/new.ts", 500);
    added.settle();
    expect(buildIsStale(added.root)).toBe(true);
    const deleted = checkout();
    rmSync(join(deleted.root, "shaders/e.wgsl"));
    expect(buildIsStale(deleted.root)).toBe(true);
    const ungenerated = checkout();
    rmSync(join(ungenerated.root, "shaders/kernels.ts"));
    ungenerated.settle();
    expect(buildIsStale(ungenerated.root)).toBe(true);
  });

  it("sees packages that are missing or were installed in part", () => {
    const { root, write } = checkout();
    write("package-lock.json", 1000);
    expect(packagesAreStale(root)).toBe(true);
    write("node_modules/a/package.json", 1000);
    expect(packagesAreStale(root)).toBe(true);
    write("node_modules/.package-lock.json", 1000);
    expect(packagesAreStale(root)).toBe(false);
  });
});
