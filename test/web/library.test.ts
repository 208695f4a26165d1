// dist/kiln.browser.js: its size, what it is made of, and docs/browser.md's ten lines in a page.
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as Library from "../../web/library.ts";
import { launchChromium, skipsWithoutChromium } from "../support/chromium.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";

const root = join(import.meta.dirname, "../..");
const outDir = join(temporaryFolder(), "library");
/** Bytes, gzipped. */
const BUDGET = 200_000;
/** 10 lines within the script element. */
const [, script] = /```html\n(<script type="module">\n[^]*?<\/script>\n)```/.exec(
  readFileSync(join(root, "docs/browser.md"), "utf8"),
)!;
const NAMES = `<!doctype html><script type="module">
  import * as kiln from "./kiln.browser.js";
  globalThis.kiln = kiln;
</script>`;

let text = "";
beforeAll(async () => {
  await build({ configFile: join(root, "vite.library.config.ts"), root, logLevel: "warn", build: { outDir } });
  text = readFileSync(join(outDir, "kiln.browser.js"), "utf8");
});

describe("the library for pages", () => {
  it("keeps to its budget", () => {
    const size = gzipSync(text, { level: 9 }).length;
    expect(size).toBeLessThan(BUDGET);
    expect(size).toBeGreaterThan(BUDGET / 4); // it is there
  });

  it("is one module that imports nothing, says what it is, and carries no charts, no protobuf and no paths", () => {
    expect(text).toMatch(/^\/\*! Kiln \d+\.\d+\.\d+ .*MIT/);
    expect(
      text.match(/\bimport\s*[({*"'`].{9}|\bimport\s+\w+\s+from\b|\bfrom\s*["'][^"']+["'];|\brequire\(.{9}/),
    ).toBeNull();
    expect(text.match(/observablehq|tickFormat|protobuf|linkedom|["'`]node:.{9}/)).toBeNull();
    expect(text).not.toContain(root);
  });

  it("has types beside it, of the same names", () => {
    const types = readFileSync(join(outDir, "kiln.browser.d.ts"), "utf8");
    for (const name of ["engine/index", "nn/index", "training/core"]) {
      expect(types).toContain(`export * from "./${name}.js";`);
    }
    expect(types).not.toMatch(/\.\.\/|\.ts"/);
  });

  it("is shown in ten lines", () => {
    expect(script.trim().split("\n")).toHaveLength(12);
  });
});

describe.skipIf(skipsWithoutChromium("the library was not loaded in a page"))("the library in Chromium", () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const printed: string[] = [];

  beforeAll(async () => {
    server = createServer(({ url }, response) => {
      const library = url === "/lib/kiln.browser.js";
      response.setHeader("Content-Type", library ? "text/javascript" : "text/html");
      response.end(library ? text : url === "/lib/" ? `<!doctype html><title>Ten lines</title>${script}` : NAMES);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    browser = await launchChromium({ webgpu: true });
    page = await browser.newPage();
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => printed.push(message.text()));
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });
  const address = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

  it("trains by the ten lines, and the loss falls", async () => {
    await page.goto(address("/lib/"));
    const losses = (): number[] =>
      printed.flatMap((line) => (/^\d+ [\d.]+$/.test(line) ? Number(line.split(" ")[1]) : []));
    await expect.poll(() => losses().length + 100 * complaints.length, { timeout: 100_000 }).toBeGreaterThanOrEqual(15);
    expect(complaints).toEqual([]);
    const mean = (some: readonly number[]): number => some.reduce((sum, loss) => sum + loss, 0) / some.length;
    const all = losses();
    expect(all.every((loss) => Number.isFinite(loss))).toBe(true);
    expect(mean(all.slice(-3))).toBeLessThan(mean(all.slice(0, 3)) - 0.2);
  });

  it("brings Symbol.dispose along for browsers without it", async () => {
    const old = await browser.newPage();
    await old.addInitScript(() => {
      let own: unknown;
      const known = Symbol;
      // Not of Symbol itself: a proxy may not hide what its target has for good.
      globalThis.Symbol = new Proxy(() => undefined, {
        apply: (_, __, [name]: [string]) => known(name),
        get: (_, name) => (name === "dispose" ? own : (Reflect.get(known, name) as unknown)),
        set: (_, name, value) => name === "dispose" && ((own = value), true),
      }) as unknown as SymbolConstructor;
    });
    await old.goto(address("/lib/names"));
    await old.waitForFunction("globalThis.kiln");
    const found = await old.evaluate(async () => {
      const { kiln } = globalThis as unknown as { kiln: typeof Library };
      const device = await kiln.openDevice();
      const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(device));
      device[Symbol.dispose]();
      return { disposed: device.disposed, methods };
    });
    expect(found.disposed).toBe(true);
    expect(found.methods).not.toContain("undefined");
    await old.close();
  });

  it("has the tensors' methods, both cross-entropies and the layers' names", async () => {
    await page.goto(address("/lib/names"));
    await page.waitForFunction("globalThis.kiln");
    const found = await page.evaluate(async () => {
      const { kiln } = globalThis as unknown as { kiln: typeof Library };
      await kiln.openDevice();
      const x = kiln.tensor([1, 2, 3], { requiresGrad: true });
      x.mul(x).sum().backward();
      const logits = kiln.tensor([[1, 2, 3]]);
      const labels = kiln.tensor([2], { dtype: "u32" });
      return {
        gradient: await x.grad!.array(),
        loss: await kiln.crossEntropy()(logits, labels).item(),
        op: await kiln.crossEntropyOp(logits, labels).item(),
        layers: kiln.formatSummary(kiln.summarize(kiln.resnet8({ classes: 10 }))),
      };
    });
    expect(found.gradient).toEqual([2, 4, 6]);
    expect(found.loss).toBeCloseTo(Math.log(1 + Math.exp(-1) + Math.exp(-2)), 5);
    expect(found.op).toBe(found.loss);
    expect(found.layers).toContain("Conv2d");
  });
});
