// The kernels of a training step as the page lists them: numbers that agree with a count on paper, the table, the text.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import {
  button,
  downloaded,
  openSite,
  pressWhen,
  says,
  saysAndDisables,
  visit,
  type Site,
  type Visit,
} from "./visit.ts";

const BATCH = 8;
const RECIPE = `model=resnet8&epochs=1&limit=16&limit-test=8&batch-size=${BATCH}&lr=0.01&seed=1`;
const folder = temporaryFolder();

/** What the convolutions of resnet8 calculate for one image forward: pixels, taps, channels in and out. */
const CONVOLUTIONS: readonly (readonly [side: number, taps: number, C: number, K: number])[] = [
  [32, 9, 3, 16],
  [32, 9, 16, 16],
  [32, 9, 16, 16],
  [16, 9, 16, 32],
  [16, 9, 32, 32],
  [16, 1, 16, 32],
  [8, 9, 32, 64],
  [8, 9, 64, 64],
  [8, 1, 32, 64],
];

describe.skipIf(skipsWithoutChromium("no kernels were listed"))("the kernels of a step", () => {
  let site: Site;
  let context: BrowserContext;
  let here: Visit;
  let listed = 0;
  let checkpoint: Buffer;
  const at = (selector: string): Locator => here.page.locator(selector);
  const rows = (): Locator => at("#kernel-table tbody tr");
  const kernelNames = (): Promise<string[]> => rows().locator("th").allInnerTexts();
  const numbers = async (place: number): Promise<number[]> =>
    (await at(`#kernel-table tbody td:nth-child(${place})`).allInnerTexts()).map((text) =>
      Number(text.replaceAll(",", "")),
    );
  const sort = (name: string): Promise<void> =>
    at("#kernel-table thead").getByRole("button", { name, exact: true }).click();
  const tile = async (name: string): Promise<number> => {
    const text = await at("#kernel-totals div").filter({ hasText: name }).locator("dd").innerText();
    return Number(/^[\d.,]+/.exec(text)![0].replaceAll(",", ""));
  };
  const checkpointBytes = async (): Promise<Buffer> => {
    const path = join(folder, "weights.safetensors");
    await downloaded(here, "Download checkpoint", path);
    return readFileSync(path);
  };

  beforeAll(async () => {
    site = await openSite();
    context = await site.newcomer();
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(site.url).origin });
    here = await visit(context, `${site.url}?autostart=1&${RECIPE}`);
    await says(here, /Training is done.* Test accuracy/);
    checkpoint = await checkpointBytes();
    const listing = saysAndDisables(here, /^Listing the kernels: /, "#start", "#explain");
    await button(here, "List the kernels of a step").click();
    await listing;
    await says(here, /A step of resnet8 is \d+ dispatches/);
    listed = Number(/\d+(?= dispatches)/.exec(await here.status.innerText())![0]);
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  afterEach(() => expect(here.complaints.splice(0)).toEqual([]));

  it("are as many rows as the summary says, in a table that comes after the results", async () => {
    expect(listed).toBeGreaterThan(50);
    await expect.poll(() => rows().count()).toBe(listed);
    expect(await tile("Dispatches")).toBe(listed);
    expect(await tile("Different kernels")).toBe(new Set(await kernelNames()).size);
    expect(await at("#kernels-caption").innerText()).toBe(`All ${listed} dispatches`);
    expect((await numbers(1)).length).toBe(listed);
    const sum = (await numbers(4)).reduce((a, b) => a + b);
    expect(sum).toBeGreaterThan(0);
    expect(Math.abs(sum / (await tile("Their times together")) - 1)).toBeLessThan(0.02);
    const captions = await at("table").evaluateAll((tables) =>
      tables.map((table) => (table as HTMLTableElement).caption?.textContent.trim() ?? table.id),
    );
    expect(captions[0]).toBe("Results");
    expect(captions.at(-1)).toBe(`All ${listed} dispatches`);
  });

  it("calculate what three passes over the convolutions take", async () => {
    const shown = await here.page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("#kernel-table tbody tr")].map((row) => {
        row.click();
        const facts = [...document.querySelectorAll("#kernel-source dt")];
        return facts.find(({ textContent }) => textContent === "Calculates")!.nextElementSibling!.textContent;
      }),
    );
    const flops = shown
      .map((text) => /^([\d,]+) FLOP/.exec(text)?.[1] ?? "0")
      .reduce((sum, text) => sum + Number(text.replaceAll(",", "")), 0);
    const forward = CONVOLUTIONS.reduce((sum, [side, taps, C, K]) => sum + 2 * BATCH * side ** 2 * taps * C * K, 0);
    expect(flops / (3 * forward)).toBeGreaterThan(0.75);
    expect(flops / (3 * forward)).toBeLessThan(1.25);
    // And the rate is that over the times together.
    const rate = flops / (await tile("Their times together")) / 1e6;
    expect(Math.abs((await tile("Arithmetic")) / rate - 1)).toBeLessThan(0.02);
  });

  it("are sorted by time and by name, filtered, and grouped", async () => {
    await sort("ms");
    const times = await numbers(4);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(times[0]).toBeGreaterThan(times.at(-1)!);
    expect(await at("#kernel-table [aria-sort]").innerText()).toBe("ms");
    expect(await at("#kernel-table [aria-sort]").getAttribute("aria-sort")).toBe("descending");
    await sort("ms");
    expect(await numbers(4)).toEqual([...times].reverse());
    await sort("Kernel");
    const names = await kernelNames();
    expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b)));
    await sort("No.");
    expect(await numbers(1)).toEqual(Array.from({ length: listed }, (_, i) => i + 1));

    const filter = here.page.getByLabel("Only kernels named");
    const wanted = names.filter((name) => name.includes("conv2d"));
    expect(wanted.length).toBeGreaterThan(10);
    await filter.fill(" CONV2D");
    await expect.poll(() => rows().count()).toBe(wanted.length);
    expect((await kernelNames()).sort()).toEqual(wanted.sort());
    expect(await at("#kernels-caption").innerText()).toBe(`${wanted.length} dispatches named "conv2d"`);
    await filter.fill("no such kernel");
    await expect.poll(() => rows().count()).toBe(0);
    await filter.fill("");
    await expect.poll(() => rows().count()).toBe(listed);

    const group = here.page.getByLabel("Group by kernel");
    await group.check();
    const kinds = [...new Set(names)];
    expect((await kernelNames()).sort()).toEqual(kinds.sort());
    const calls = await numbers(1);
    expect(calls.reduce((a, b) => a + b)).toBe(listed);
    const first = (await kernelNames())[0];
    expect(calls[0]).toBe(names.filter((name) => name === first).length);
    const together = await numbers(4);
    expect(together).toEqual([...together].sort((a, b) => b - a));
    await group.uncheck();
    await expect.poll(() => rows().count()).toBe(listed);
  });

  it("show their WGSL as it runs, and copy it", async () => {
    await here.page.getByLabel("Only kernels named").fill("conv2d");
    const kernel = rows().filter({ hasText: "conv2d" }).first();
    const name = await kernel.locator("th").innerText();
    await kernel.getByRole("button").focus();
    await here.page.keyboard.press("Enter");
    const source = here.page.getByRole("region", { name: `WGSL of ${name}` });
    const text = (await source.textContent())!;
    expect(text).toContain("@compute");
    expect(await at("#kernel-source h3").innerText()).toContain(`shaders/${name}.wgsl`);

    // Every constant that is set, in every kernel that sets any: the text has its value.
    const set = await here.page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("#kernel-table tbody tr")].flatMap((row) => {
        row.click();
        const source = document.querySelector("#kernel-source")!;
        const title = [...source.querySelectorAll("h4")].find(({ textContent }) => textContent === "Constants set")!;
        return [...title.parentElement!.querySelectorAll("dt")].map(
          ({ textContent: name, nextElementSibling: value }) => ({
            name,
            value: value!.textContent,
            wgsl: source.querySelector("pre")!.textContent,
            file: row.querySelector("th")!.textContent,
          }),
        );
      }),
    );
    expect(set.length).toBeGreaterThan(0);
    let changed = 0;
    for (const { name, value, wgsl, file } of set) {
      const declared = new RegExp(`^(?:const|alias) ${name}\\b[^=]*= *(.*?);|^fn ${name}\\(.*return (.*?);`, "m");
      const [now, before] = [
        wgsl,
        readFileSync(join(import.meta.dirname, "../../shaders", `${file}.wgsl`), "utf8"),
      ].map((text) =>
        declared
          .exec(text)
          ?.slice(1)
          .find((found) => found !== undefined),
      );
      expect(now?.replace(/^(\d+)u$/, "$1"), `${file}: ${name}`).toBe(value);
      if (now !== before) changed++;
    }
    expect(changed).toBeGreaterThan(0);

    const chosen = await at("#kernel-source pre").textContent();
    await button(here, "Copy the WGSL").click();
    await says(here, /\.wgsl is in your clipboard\.$/);
    expect(await here.page.evaluate(() => navigator.clipboard.readText())).toBe(chosen);
    await here.page.getByLabel("Only kernels named").fill("");
  });

  it("are listed without a change to the weights, and Stop ends the listing", async () => {
    expect(checkpoint.length).toBeGreaterThan(78_042 * 4);
    expect(await checkpointBytes()).toEqual(checkpoint);
    const stopped = pressWhen(here, "#status", /^Listing the kernels: /, "stop");
    await button(here, "List the kernels of a step").click();
    await stopped;
    await says(here, "Stopped: the kernels were not listed.");
    expect(await button(here, "Train").isEnabled()).toBe(true);
    // What was listed before stays, and so do the weights.
    expect(await rows().count()).toBe(listed);
    expect(await checkpointBytes()).toEqual(checkpoint);
  });
});
