// @ts-check
/** The page without a network: a service worker that keeps all files of the build. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const WORKER = "offline.js";

/**
 * What runs in the browser; its text is written into the build, so it uses nothing from outside but its arguments. It answers for the
 * files of its list alone, from the cache first: they belong together. Another list is another cache, which takes over when the
 * last tab of the old page is closed.
 * @param {any} self
 * @param {string} version
 * @param {string[]} files "./" is the page
 */
function serviceWorker(self, version, files) {
  // Several pages of one host share its caches.
  const mine = `kiln ${self.registration.scope} `;
  const name = mine + version;
  const page = new URL("./", self.location.href).href;
  const known = new Set(files.map((file) => new URL(file, self.location.href).href));

  /** @param {string} address @returns {string | null} what it is in the cache */
  function keyOf(address) {
    const url = new URL(address);
    url.hash = "";
    if (known.has(url.href)) return url.href;
    url.search = "";
    return url.href === page || url.href === `${page}index.html` ? page : null;
  }

  async function install() {
    const cache = await self.caches.open(name);
    // Asks the server, lest a stale copy of the browser's own cache be kept.
    await cache.addAll([...known].map((url) => new self.Request(url, { cache: "no-cache" })));
  }

  async function activate() {
    const old = (await self.caches.keys()).filter((/** @type {string} */ key) => key.startsWith(mine) && key !== name);
    await Promise.all(old.map((/** @type {string} */ key) => self.caches.delete(key)));
    await self.clients.claim();
  }

  /** @param {string} key @param {Request} request */
  async function answer(key, request) {
    const cache = await self.caches.open(name);
    const kept = await cache.match(key);
    if (!kept) return fetch(request);
    // Some hosts redirect "name.html" to "name", and browsers open no page from an answer that was redirected.
    return kept.redirected ? new self.Response(kept.body, kept) : kept;
  }

  /** Where the host has another page by now, as a port of this machine soon has, this goes: the next visit gets that page. */
  async function leaveWhereGone() {
    const found = await fetch(self.location.href, { cache: "no-store" }).catch(() => null);
    const gone = found?.ok
      ? !/javascript/.test(found.headers.get("content-type") ?? "")
      : [404, 410].includes(found?.status ?? 0);
    if (!gone) return;
    await self.registration.unregister();
    const keys = (await self.caches.keys()).filter((/** @type {string} */ key) => key.startsWith(mine));
    await Promise.all(keys.map((/** @type {string} */ key) => self.caches.delete(key)));
  }

  self.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(install()));
  self.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(activate()));
  self.addEventListener("fetch", (/** @type {any} */ event) => {
    const key = event.request.method === "GET" ? keyOf(event.request.url) : null;
    if (key === null) return;
    event.respondWith(answer(key, event.request));
    if (event.request.mode === "navigate") event.waitUntil(leaveWhereGone());
  });
}

/** @param {string} folder @returns {string[]} the paths of its files, with slashes */
function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

/** @param {string} folder a finished build */
export function offlineWorker(folder) {
  const files = filesOf(folder).filter((file) => file !== WORKER && !file.endsWith(".map"));
  const hash = createHash("sha256").update(serviceWorker.toString());
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(folder, file)));
  const version = hash.digest("hex").slice(0, 16);
  // Some hosts redirect index.html to the folder, and a redirection cannot be kept.
  const list = files.map((file) => (file === "index.html" ? "./" : `./${file}`));
  return `(${serviceWorker.toString()})(self, ${JSON.stringify(version)}, ${JSON.stringify(list)});\n`;
}

/**
 * Writes `offline.js` beside the page when all other files are there.
 * @returns {import("vite").Plugin}
 */
export function offline() {
  return {
    name: "kiln-offline",
    apply: "build",
    enforce: "post",
    writeBundle: {
      order: "post",
      sequential: true,
      handler(options) {
        if (options.dir === undefined) return;
        writeFileSync(join(options.dir, WORKER), offlineWorker(options.dir));
      },
    },
  };
}
