// Visits of the page, as a person makes them: the built page, a server, a browser of one's own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { build, preview } from "vite";
import { launchChromium } from "../support/chromium.ts";

const configFile = join(import.meta.dirname, "../../vite.config.ts");

export interface Site extends AsyncDisposable {
  readonly url: string;
  /** A browser that has never been here. */
  newcomer(options?: { readonly flags?: readonly string[]; readonly webgpu?: boolean }): Promise<BrowserContext>;
  /** Closes the newcomers' browsers, as closing the site does: what goes on in them takes time from the next. */
  closeBrowsers(): Promise<void>;
}

let built: Promise<string> | undefined;

/** The folder of the built page, which all files share: their project has one process. */
const builtPage = (): Promise<string> =>
  (built ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), "kiln-page-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    process.once("SIGTERM", () => process.exit()); // by which vitest ends its processes
    const outDir = join(folder, "page");
    await build({ configFile, logLevel: "warn", build: { outDir } });
    return outDir;
  })());

/** Serves the page below /kiln/: it must work from any path. */
export async function openSite(): Promise<Site> {
  const outDir = await builtPage();
  const server = await preview({
    configFile,
    base: "/kiln/",
    logLevel: "silent",
    build: { outDir },
    preview: { port: 0, host: "127.0.0.1" },
  });
  let browsers: Browser[] = [];
  const closeBrowsers = async (): Promise<void> => {
    await Promise.all(browsers.map((browser) => browser.close()));
    browsers = [];
  };
  return {
    url: new URL("/kiln/", server.resolvedUrls!.local[0]).href,
    async newcomer({ flags = [], webgpu = true } = {}) {
      const browser = await launchChromium({ webgpu, flags });
      browsers.push(browser);
      return browser.newContext({ viewport: { width: 1200, height: 900 }, acceptDownloads: true });
    },
    closeBrowsers,
    async [Symbol.asyncDispose]() {
      await closeBrowsers();
      await server.close();
    },
  };
}

/** A page, and what it wrote to the console. */
export interface Visit {
  readonly page: Page;
  readonly complaints: string[];
  readonly status: Locator;
}

export async function visit(context: BrowserContext, url: string): Promise<Visit> {
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints, status: page.getByRole("status") };
}

/** Waits until the status line says so. */
export async function says({ page, status }: Visit, words: string | RegExp): Promise<void> {
  try {
    await status.filter({ hasText: words }).waitFor();
  } catch (error) {
    const alerts = await page.getByRole("alert").allInnerTexts();
    throw new Error(`the page says ${JSON.stringify([await status.innerText(), ...alerts])}, not "${words}"`, {
      cause: error,
    });
  }
}

/**
 * Presses the button with this id as soon as what `selector` finds says so; to be called before that, and awaited after it.
 * The page does both by itself: a message from here may come when the moment is over.
 */
export async function pressWhen({ page }: Visit, selector: string, words: RegExp, id: string): Promise<void> {
  await page.waitForFunction(
    ([selector, words, id]) => {
      if (!new RegExp(words).test(document.querySelector(selector)?.textContent ?? "")) return false;
      document.getElementById(id)!.click();
      return true;
    },
    [selector, words.source, id] as const,
    { polling: 5 },
  );
}

/** Waits until the status line says so and these are disabled, in one look: it may not last. Called as `pressWhen` is. */
export async function saysAndDisables({ page }: Visit, words: RegExp, ...selectors: string[]): Promise<void> {
  await page.waitForFunction(
    ([words, selectors]) =>
      new RegExp(words).test(document.getElementById("status")!.textContent) &&
      selectors.every((selector) => document.querySelector(selector)!.matches(":disabled")),
    [words.source, selectors] as const,
    { polling: 5 },
  );
}

export const button = ({ page }: Visit, name: string): Locator => page.getByRole("button", { name, exact: true });

/** A field of the recipe. */
export const field = ({ page }: Visit, label: string): Locator => page.getByLabel(label, { exact: true });

export async function downloaded(here: Visit, name: string, path: string): Promise<void> {
  const waiting = here.page.waitForEvent("download");
  await button(here, name).click();
  await (await waiting).saveAs(path);
}
