// The report in a real browser: light, dark, on a phone and on paper.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, skipsWithoutChromium } from "./support/chromium.ts";
import { tinyReport } from "./support/tiny-report.ts";
import { temporaryFolder } from "./training/data/fixtures.ts";

describe.skipIf(skipsWithoutChromium("the report was not opened in a browser"))("the report in Chromium", () => {
  const dir = join(temporaryFolder(), "run");
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    await tinyReport(dir);
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  async function open(options: { width: number; colorScheme?: "light" | "dark" }): Promise<Page> {
    const { width, colorScheme = "light" } = options;
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) complaints.push(`asked for ${request.url()}`);
    });
    await page.goto(pathToFileURL(join(dir, "report.html")).href);
    return page;
  }
  /** Colours as the browser computed them. */
  const colors = (page: Page) =>
    page.evaluate(() => {
      const style = (selector: string) => getComputedStyle(document.querySelector(selector)!);
      return {
        page: style("body").backgroundColor,
        words: style("body").color,
        axis: style("#figure-loss svg text").fill,
        curve:
          style('#figure-loss [aria-label="line"] path').stroke || style('#figure-loss [aria-label="line"]').stroke,
      };
    });

  it("follows the light and the dark theme, its charts too", async () => {
    const light = await colors(await open({ width: 1200 }));
    const dark = await colors(await open({ width: 1200, colorScheme: "dark" }));
    expect(light).toMatchObject({ page: "rgb(255, 255, 255)", words: "rgb(34, 34, 34)", axis: "rgb(34, 34, 34)" });
    expect(dark.page).toBe("rgb(20, 23, 28)");
    expect(dark.axis).toBe(dark.words);
    expect(light.curve).toBe("rgb(0, 114, 178)");
    expect(dark.curve).toBe("rgb(86, 180, 233)");
  });

  it.each([320, 380, 1200])("does not scroll sideways at %i pixels, and its pictures are shown", async (width) => {
    const page = await open({ width });
    const found = await page.evaluate(() => ({
      scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      wide: [...document.querySelectorAll("figure svg")].filter(
        (svg) => svg.getBoundingClientRect().right > innerWidth || svg.getBoundingClientRect().width < 200,
      ).length,
      images: [...document.querySelectorAll("figure image")].filter((image) => image.getBoundingClientRect().width < 20)
        .length,
    }));
    expect(found).toEqual({ scroll: 0, wide: 0, images: 0 });
  });

  it("has no text in a figure that is cut off by its edge", async () => {
    const page = await open({ width: 1200 });
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll("figure svg")].flatMap((svg) => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")]
          .filter((text) => text.textContent !== "")
          .filter((text) => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
          })
          .map((text) => `${svg.getAttribute("aria-label")}: ${text.textContent}`);
      }),
    );
    expect(cut).toEqual([]);
  });

  it("prints black on white, in full, from a dark page too", async () => {
    const page = await open({ width: 1200, colorScheme: "dark" });
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    expect(await colors(page)).toMatchObject({ page: "rgb(255, 255, 255)", words: "rgb(34, 34, 34)" });
    expect(await page.evaluate(() => getComputedStyle(document.querySelector("nav")!).display)).toBe("none");
    const pdf = await page.pdf({ format: "A4" });
    expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
    expect(pdf.length).toBeGreaterThan(50_000);
  });

  it("writes nothing to the console and asks no server", () => {
    expect(complaints).toEqual([]);
  });
});
