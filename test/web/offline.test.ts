// The page without a network, and what it brings along beside itself.
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kernelTourPage } from "../../scripts/kernel-tour.js";
import { offlineWorker } from "../../scripts/offline.js";
import { launchChromium, skipsWithoutChromium } from "../support/chromium.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { button, field, openSite, says, visit, type Site } from "./visit.ts";

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

  it("answers with what a host has redirected as if it had not", async () => {
    const folder = join(temporaryFolder(), "redirected");
    mkdirSync(folder);
    writeFileSync(join(folder, "tour.html"), "");
    const kept = new Response("the tour", { headers: { "content-type": "text/html" } });
    Object.defineProperty(kept, "redirected", { value: true });
    type Listener = (event: { request: Request; respondWith(answer: Promise<Response>): void }) => void;
    const listeners: Record<string, Listener> = {};
    const scope = {
      location: { href: "https://kiln.example/offline.js" },
      registration: { scope: "https://kiln.example/" },
      Response,
      caches: { open: () => Promise.resolve({ match: () => Promise.resolve(kept) }) },
      addEventListener: (type: string, listener: Listener) => (listeners[type] = listener),
    };
    runInNewContext(offlineWorker(folder), { self: scope, URL });
    const answer = await new Promise<Response>((respondWith) =>
      listeners["fetch"]({ request: new Request("https://kiln.example/tour.html"), respondWith }),
    );
    expect(answer.redirected).toBe(false);
    expect(answer.headers.get("content-type")).toBe("text/html");
    expect(await answer.text()).toBe("the tour");
  });
});

it.skipIf(skipsWithoutChromium("no page made way"))(
  "the worker makes way where the host has another page",
  async () => {
    const folder = join(temporaryFolder(), "gone");
    mkdirSync(folder);
    const page = `<h1>Kiln</h1><script>navigator.serviceWorker.register("./offline.js")</script>`;
    writeFileSync(join(folder, "index.html"), page);
    const files: Record<string, [type: string, text: string]> = {
      "/": ["text/html", page],
      "/offline.js": ["text/javascript", offlineWorker(folder)],
    };
    await using server = createServer(({ url = "" }, response) => {
      const [type, text] = files[url] ?? ["", ""];
      response.writeHead(type === "" ? 404 : 200, { "content-type": type }).end(text);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const browser = await launchChromium({ webgpu: false });
    try {
      const tab = await browser.newPage();
      const { port } = server.address() as AddressInfo;
      await tab.goto(`http://127.0.0.1:${port}/`);
      await tab.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      files["/"] = ["text/html", "<h1>Another</h1>"];
      // As it stands, the page is the one that is kept.
      await tab.reload();
      expect(await tab.locator("h1").innerText()).toBe("Kiln");
      delete files["/offline.js"];
      // The visit that finds out is still answered from the cache.
      const heading = async (): Promise<string> => {
        await tab.reload();
        return tab.locator("h1").innerText();
      };
      await expect.poll(heading).toBe("Another");
      expect(await tab.evaluate(() => caches.keys())).toEqual([]);
    } finally {
      await browser.close();
    }
  },
);

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

const SMALL = "limit=16&limit-test=16&batch-size=8&epochs=1&model=resnet8";

describe.skipIf(skipsWithoutChromium("the page was not opened offline"))("the page in Chromium", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterAll(() => site?.[Symbol.asyncDispose]());

  it("opens again, trains and lists kernels without a network, and the tour opens too", async () => {
    const context = await site.newcomer();
    const first = await visit(context, `${site.url}?${SMALL}`);
    await first.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await first.page.close();
    await context.setOffline(true);
    const here = await visit(context, `${site.url}?autostart=1&${SMALL}`);
    await says(here, "Training is done");
    // A batch larger than the data set is all of it.
    await field(here, "Batch size").fill("64");
    await button(here, "List the kernels of a step").click();
    await says(here, /A step of resnet8 is \d+ dispatches/);
    expect(await here.page.locator("#kernel-note").innerText()).toContain("over 16 images.");
    expect(here.complaints).toEqual([]);
    await here.page.getByRole("link", { name: "The kernel tour" }).click();
    await here.page.getByRole("heading", { name: "Matrix products" }).waitFor();
  });
});
