// The page without a network, and what it brings along beside itself.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kernelTourPage } from "../../scripts/kernel-tour.js";
import { offlineWorker } from "../../scripts/offline.js";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { button, openSite, says, visit, type Site } from "./visit.ts";

describe("the worker for offline use", () => {
  it("lists every file but itself, and has another version for other contents", () => {
    const folder = join(temporaryFolder(), "build");
    mkdirSync(join(folder, "assets"), { recursive: true });
    for (const name of ["index.html", "assets/a.js", "offline.js"]) writeFileSync(join(folder, name), name);
    const first = offlineWorker(folder);
    expect(first).toContain('["./assets/a.js","./"]');
    writeFileSync(join(folder, "offline.js"), first);
    expect(offlineWorker(folder)).toBe(first);
    writeFileSync(join(folder, "assets/a.js"), "changed");
    expect(offlineWorker(folder)).not.toBe(first);
  });
});

describe("the kernel tour as a page", () => {
  it("leads to places that it has", () => {
    const page = kernelTourPage();
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
    expect(targets.length).toBeGreaterThan(10);
    expect(targets.filter((id) => !ids.has(id))).toEqual([]);
    expect(page).not.toMatch(/```|\]\(|<p>[|#]/);
  });
});

const SMALL = "limit=32&limit-test=16&batch-size=8&epochs=1&model=resnet8";

describe.skipIf(skipsWithoutChromium("the page was not opened offline"))("the page in Chromium", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());

  it("opens again and trains without a network, and the tour opens too", async () => {
    const context = await site.newcomer();
    const first = await visit(context, `${site.url}?${SMALL}`);
    await first.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await first.page.close();
    await context.setOffline(true);
    const here = await visit(context, `${site.url}?autostart=1&${SMALL}`);
    await says(here, "Training is done");
    expect(here.complaints).toEqual([]);
    await here.page.getByRole("link", { name: "The kernel tour" }).click();
    await here.page.getByRole("heading", { name: "Matrix products" }).waitFor();
  });

  it("lists the kernels of a step, sorts and filters them, and shows their text", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${SMALL}`);
    const { page } = here;
    await page.getByRole("button", { name: "List the kernels of a step", disabled: false }).click();
    await says(here, /A step of resnet8 is \d+ dispatches/);
    const count = Number(/\d+(?= dispatches)/.exec((await here.status.textContent())!)![0]);
    expect(count).toBeGreaterThan(50);
    const table = page.locator("#kernel-table");
    expect(await table.locator("caption").textContent()).toBe(`All ${count} dispatches`);
    const rows = table.locator("tbody tr");
    expect(await rows.count()).toBe(count);
    await table.getByRole("button", { name: "ms", exact: true }).click();
    const times = (await rows.locator("td:nth-child(4)").allInnerTexts()).map((text) => Number(text.replace(",", "")));
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(times[0]).toBeGreaterThan(0);
    await page.getByLabel("Only kernels named").fill("batch-norm/");
    await table.getByText('dispatches named "batch-norm/"').waitFor();
    expect(new Set((await rows.locator("th").allInnerTexts()).map((name) => name.split("/")[0]))).toEqual(
      new Set(["batch-norm"]),
    );
    await page.getByRole("button", { name: "batch-norm/apply" }).first().click();
    const text = page.getByRole("region", { name: "WGSL of batch-norm/apply" });
    expect(await text.textContent()).toContain("@compute @workgroup_size(64)");
    await page.getByLabel("Group by kernel").check();
    expect(await rows.count()).toBeLessThan(8);
    expect(await button(here, "Train").isEnabled()).toBe(true);
    expect(here.complaints).toEqual([]);
  });
});
