// @ts-check
/**
 * Which commands give this machine a Vulkan driver that Dawn accepts. Decisions only: nothing here touches the system,
 * so the same lists are run by setup.js (as root), printed for the user (otherwise) and compared in the tests.
 */

/**
 * @typedef {{ id: string, like: string[], version: number, codename: string, name: string }} OsRelease
 * `version` is VERSION_ID as a number, 0 where there is none (Debian testing and unstable).
 * @typedef {{ platform: string, os: OsRelease, root: boolean, backports: boolean }} Machine
 * `backports`: whether `apt-cache policy` already knows the suite that `backportsSuite` names.
 * @typedef {{ install: boolean, commands: string[], lines: string[] }} DriverPlan
 * `install`: run `commands` now (they are shell lines); otherwise print `lines` and stop.
 */

/**
 * @param {string} text the contents of /etc/os-release ("" where there is none)
 * @returns {OsRelease}
 */
export function parseOsRelease(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Z_]+)=(.*?)\s*$/.exec(line);
    if (match?.[1]) fields[match[1]] = (match[2] ?? "").replace(/^(["'])(.*)\1$/, "$2");
  }
  return {
    id: fields["ID"] ?? "",
    like: (fields["ID_LIKE"] ?? "").split(/\s+/).filter(Boolean),
    version: Number(fields["VERSION_ID"] ?? 0) || 0,
    codename: fields["VERSION_CODENAME"] ?? "",
    name: fields["PRETTY_NAME"] ?? fields["ID"] ?? "",
  };
}

/** @param {OsRelease} os @param {...string} ids */
export function isOrResembles(os, ...ids) {
  return ids.some((id) => os.id === id || os.like.includes(id));
}

/**
 * The suite that holds a new enough Mesa where the release itself does not: Dawn refuses Debian 12's own Mesa 22.3.
 * @param {OsRelease} os
 * @returns {string | undefined}
 */
export function backportsSuite(os) {
  return os.codename === "bookworm" && isOrResembles(os, "debian") ? "bookworm-backports" : undefined;
}

/**
 * @param {string} policy what `apt-cache policy` prints
 * @param {string} suite
 */
export function showsSuite(policy, suite) {
  return policy.split(/[\s,=/]+/).includes(suite);
}

/** @param {string} suite */
export function stanzaFile(suite) {
  return `/etc/apt/sources.list.d/${suite}.sources`;
}

/**
 * Adds the backports suite on the mirror that the machine already uses, whichever that is.
 * @param {OsRelease} os
 * @param {string} suite
 * @param {string} sudo "sudo " or ""
 */
function addStanza(os, suite, sudo) {
  const filter = `'Created-By: Packages' 'Codename: ${os.codename}' 'Label: Debian' 'Component: main'`;
  const stanza = `Types: deb\\nURIs: %s\\nSuites: ${suite}\\nComponents: main\\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\\n`;
  return (
    `uri=$(apt-get indextargets --format '$(REPO_URI)' ${filter} | head -1) && test -n "$uri" && ` +
    `printf '${stanza}' "$uri" | ${sudo}tee ${stanzaFile(suite)} > /dev/null`
  );
}

/**
 * @param {OsRelease} os a Debian-like system
 * @param {{ backports: boolean, sudo: boolean }} options
 * @returns {string[]} shell lines, to be run in order; the first one refreshes apt's lists
 */
export function aptCommands(os, { backports, sudo }) {
  const prefix = sudo ? "sudo " : "";
  const suite = backportsSuite(os);
  const update = `${prefix}apt-get update`;
  const target = suite ? `-t ${suite} ` : "";
  const install = `${prefix}apt-get install -y --no-install-recommends ${target}mesa-vulkan-drivers`;
  return suite && !backports ? [update, addStanza(os, suite, prefix), update, install] : [update, install];
}

/**
 * What to do on a machine where no WebGPU adapter answers.
 * @param {Machine} machine
 * @returns {DriverPlan}
 */
export function planDriver({ platform, os, root, backports }) {
  /** @param {string} reason @param {string[]} [commands] @returns {DriverPlan} */
  const advise = (reason, commands = []) => ({
    install: false,
    commands,
    lines: [`no WebGPU adapter answers: ${reason}`, ...commands.map((command) => `  ${command}`)],
  });
  if (platform === "darwin") return advise("macOS brings its own (Metal); is this a virtual machine without a GPU?");
  if (platform === "win32") return advise("Windows brings its own (Direct3D 12); update the graphics driver");
  if (platform !== "linux") return advise(`Dawn has no build for ${platform}; use Linux, macOS or Windows`);
  if (isOrResembles(os, "debian", "ubuntu")) {
    if (os.id === "debian" && os.version > 0 && os.version < 12)
      return advise(
        `${os.name} has no Mesa that Dawn accepts; use Debian 12 or newer, or install the GPU's own driver`,
      );
    const commands = aptCommands(os, { backports, sudo: !root });
    if (root) return { install: true, commands, lines: [] };
    return advise("install your GPU's Vulkan driver, or Mesa's (which has a software GPU) with", commands);
  }
  const sudo = root ? "" : "sudo ";
  const mesa = "install your GPU's Vulkan driver, or Mesa's software GPU with";
  if (isOrResembles(os, "fedora", "rhel")) return advise(mesa, [`${sudo}dnf install mesa-vulkan-drivers`]);
  if (isOrResembles(os, "arch")) return advise(mesa, [`${sudo}pacman -S vulkan-swrast`]);
  return advise("install your GPU's Vulkan driver, or Mesa's software one (lavapipe)");
}
