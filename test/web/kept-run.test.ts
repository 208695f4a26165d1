// Runs that the browser keeps: reloaded, paused, given up, lost with the GPU, and wanted by two tabs.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { link, losses } from "./recipe.ts";
import { button, field, openSite, pressWhen, says, visit, type Site } from "./visit.ts";

/** A row of the table without its times. */
const figures = (row: string): string => row.split("\t").slice(0, 6).join(" ");

describe.skipIf(skipsWithoutChromium("no run was kept in the page"))("the page's run", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterEach(() => site.closeBrowsers());
  afterAll(() => site?.[Symbol.asyncDispose]());

  it("follows a link for another run than the kept one, and continues the same", async () => {
    const context = await site.newcomer();
    const tiny = { autostart: 1, limit: 16, "limit-test": 8, "batch-size": 4 };
    const first = await visit(context, `${site.url}?${link({ ...tiny, epochs: 1 })}`);
    await says(first, "Training is done");
    await first.page.goto(`${site.url}?${link({ ...tiny, epochs: 2 })}`);
    await says(first, "Training is done");
    const rows = first.page.locator("table").first().locator("tbody tr");
    expect(await rows.count()).toBe(2);
    await first.page.reload();
    await says(first, "The run of your last visit is here");
    expect(await rows.count()).toBe(2);
    expect(await first.page.getByLabel("Training images at most").inputValue()).toBe("16");
  });

  it("goes on after a reload and after the GPU was lost, to the numbers of a run that nothing disturbed", async () => {
    const same = { epochs: 2, limit: 40, "limit-test": 8, "batch-size": 4, autostart: 1 };
    const whole = await visit(await site.newcomer(), `${site.url}?${link(same)}`);
    await says(whole, "Training is done");

    const here = await visit(await site.newcomer(), `${site.url}?${link(same)}`);
    const rows = here.page.locator("table").first().locator("tbody tr");
    const loaded = here.page.waitForEvent("load");
    // The way back after a failure: it loads the page again, and with it the answer may be gone.
    await pressWhen(here, "#epochs tbody", /./, "problem-retry").catch(() => {});
    await loaded;
    await pressWhen(here, "#status", /^Training:/, "pause");
    await says(here, "Paused and saved");
    expect(await rows.count()).toBe(1);
    expect((await losses(here)).length).toBeGreaterThan(10);

    // At once: a quick machine has few steps left.
    await here.page.evaluate(() => {
      document.getElementById("start")!.click();
      const { kiln } = globalThis as unknown as { kiln: { session: { loseDevice(): Promise<void> } } };
      return kiln.session.loseDevice();
    });
    await here.page.getByRole("alert").filter({ hasText: "lost the GPU" }).waitFor();
    expect(await button(here, "Train").isDisabled()).toBe(true);
    // Without the link's autostart the page waits for the person.
    await here.page.evaluate(() => history.replaceState(null, "", location.pathname));
    await here.page.getByRole("button", { name: "Take it up again" }).click();
    await says(here, "Train continues it");
    expect(await field(here, "Batch size").inputValue()).toBe("4");
    await button(here, "Train").click();
    await says(here, "Training is done");
    expect(await losses(here)).toEqual(await losses(whole));
    expect((await rows.allInnerTexts()).map(figures)).toEqual(
      (await whole.page.locator("table").first().locator("tbody tr").allInnerTexts()).map(figures),
    );

    // Once more: what is finished is shown, and not begun again.
    await here.page.reload();
    await says(here, "The run of your last visit is here");
    expect(await rows.count()).toBe(2);
    expect(await button(here, "Download checkpoint").isEnabled()).toBe(true);
  });

  it("keeps what was saved where the browser has no room for more, and takes it up again", async () => {
    const context = await site.newcomer();
    const here = await visit(
      context,
      `${site.url}?${link({ epochs: 3, limit: 40, "limit-test": 8, "batch-size": 8 })}`,
    );
    const devtools = await context.newCDPSession(here.page);
    const allow = (size: { quotaSize?: number }) =>
      devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(site.url).origin, ...size });
    const rows = here.page.locator("table").first().locator("tbody tr");
    await says(here, "Press Train");
    await button(here, "Train").click();
    await pressWhen(here, "#epochs tbody", /./, "pause");
    await says(here, "Paused and saved");
    await allow({ quotaSize: 1 });
    await button(here, "Train").click();
    const problem = here.page.getByRole("alert").filter({ hasText: "no more room" });
    await problem.waitFor();
    const message = await problem.locator("p").innerText();
    expect(message).toContain("What was saved is kept");
    expect(message).not.toContain("--out");
    // Train would begin anew, in the place of what was saved.
    expect(await button(here, "Train").isDisabled()).toBe(true);
    // A click elsewhere does not take the way back away.
    await button(here, "Copy link to this recipe").click();
    await allow({});
    await here.page.getByRole("button", { name: "Take it up again" }).click();
    await says(here, "Train continues it");
    expect(await rows.count()).toBeGreaterThan(0);
    await button(here, "Train").click();
    await says(here, "Training is done");
    expect(await rows.count()).toBe(3);
    expect(await losses(here)).toHaveLength(15);
  });

  it("has a link's recipe wait for Stop where a run is paused", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${link({ autostart: 1, epochs: 50 })}`);
    await says(here, "Training:");
    await button(here, "Pause").click();
    await says(here, "Paused and saved");
    // The range test's fields are no part of a run.
    await here.page.goto(`${site.url}?${link({ epochs: 50, iterations: 60 })}`);
    await says(here, "Train continues it, Stop ends it.");
    expect(await here.status.textContent()).not.toContain("link");
    await here.page.goto(`${site.url}?${link({ epochs: 7, limit: 48 })}#train`);
    await says(here, "The recipe of this page's link waits: press Stop to use it.");
    expect(await field(here, "Epochs").inputValue()).toBe("50");
    await button(here, "Stop").click();
    await says(here, "64 images in 10 classes are loaded. Press Train.");
    expect(await field(here, "Epochs").inputValue()).toBe("7");
    expect(await button(here, "Stop").isDisabled()).toBe(true);
  });

  it("has one run for all tabs: the others say so", async () => {
    const context = await site.newcomer();
    const first = await visit(context, `${site.url}?${link({ autostart: 1, epochs: 50 })}`);
    await says(first, "Training:");
    const second = await visit(context, `${site.url}?${link()}`);
    await says(second, "Press Train");
    await button(second, "Train").click();
    await second.page.getByRole("alert").filter({ hasText: "another tab of this page has a run" }).waitFor();
    await first.page.close();
    await button(second, "Train").click();
    await says(second, "Training:");
  });

  it("gives a run up where Stop is pressed", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${link({ autostart: 1, epochs: 50 })}`);
    await says(here, "Training:");
    // Browsers slow down what nobody sees, and the page says so.
    const see = (state: "hidden" | "visible") =>
      here.page.evaluate((visibilityState) => {
        Object.defineProperty(document, "visibilityState", { value: visibilityState, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
    const throttled = here.page.locator("#throttled");
    await see("hidden");
    await throttled.filter({ hasText: "This tab is in the background" }).waitFor();
    expect(await here.page.title()).toContain("in the background");
    await see("visible");
    await throttled.waitFor({ state: "hidden" });
    expect(await here.page.title()).toBe("Kiln");
    // Also where the training ends unseen.
    await see("hidden");
    expect(await here.page.title()).toContain("in the background");
    await button(here, "Stop").click();
    await says(here, "Stopped.");
    expect(await here.page.title()).toBe("Kiln");
    await see("visible");
    expect(await throttled.filter({ hasText: "is in the background" }).isVisible()).toBe(false);
    expect(await button(here, "Stop").isDisabled()).toBe(true);
    expect(await button(here, "Explain").isEnabled()).toBe(true);
    await here.page.reload();
    await says(here, "The run of your last visit is here");
    expect(await button(here, "Stop").isDisabled()).toBe(true);
  });
});
