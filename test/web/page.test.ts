// The page as a person uses it, in Chromium on SwiftShader: small cases, for it makes a few GFLOP/s.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../cli/run-cli.ts";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { temporaryFolder } from "../training/data/fixtures.ts";
import { link, losses, recipe } from "./recipe.ts";
import { button, downloaded, field, openSite, says, saysAndDisables, visit, type Site } from "./visit.ts";

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** What axe leaves on the page's globalThis. */
interface Axe {
  run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>;
}

const folder = temporaryFolder();
const flags = Object.entries(recipe).flatMap(([name, value]) => [`--${name}`, String(value)]);
const jsonLines = (path: string): Record<string, number>[] =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number>);

describe.skipIf(skipsWithoutChromium("the page was not opened"))("the page", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
  });
  afterEach(() => site.closeBrowsers());
  afterAll(() => site?.[Symbol.asyncDispose]());

  it("trains on shapes as the command line does, and each opens the other's checkpoint", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${link()}`);
    await says(here, "Press Train");
    for (const name of ["Pause", "Stop", "Explain", "Download checkpoint"]) {
      expect(await button(here, name).isDisabled(), name).toBe(true);
    }
    const locked = saysAndDisables(here, /^Training:/, "[name=epochs]", "#start");
    await button(here, "Train").click();
    await locked;
    await says(here, "Training is done");
    const rows = await here.page.locator("table").first().locator("tbody tr").allInnerTexts();
    expect(rows).toHaveLength(2);

    const run = join(folder, "run");
    await downloaded(here, "Download run (ZIP)", `${run}.zip`);
    await downloaded(here, "Download checkpoint", join(folder, "page.safetensors"));
    expect(here.complaints).toEqual([]);

    // The same numbers from the command line, on another driver with other kernels.
    const cli = await runCli("train", ["--data", "shapes", ...flags, "--no-report", "--out", "cli"], { cwd: folder });
    expect(cli.stderr).not.toContain("train:");
    const want = jsonLines(join(folder, "cli/steps.jsonl"));
    const got = await losses(here);
    expect(got).toHaveLength(8);
    got.forEach((loss, step) => expect(Math.abs(loss - want[step].loss), `step ${step}`).toBeLessThan(1e-4));
    expect(got.at(-1)).toBeLessThan(got[0]);

    const evaluated = await runCli("evaluate", ["--checkpoint", "page.safetensors", "--limit-test", "16", "--json"], {
      cwd: folder,
    });
    expect(evaluated.status, evaluated.stderr).toBe(0);
    const { accuracy } = JSON.parse(evaluated.stdout) as { accuracy: number };
    expect(rows[1]).toContain(`${(100 * accuracy).toFixed(1)} %`);

    await here.page.getByLabel("Open a checkpoint").setInputFiles(join(folder, "cli/best.safetensors"));
    await says(here, "best.safetensors");
    expect(await button(here, "Explain").isEnabled()).toBe(true);
  });

  it("finds the learning rate, shows the curve, and takes its suggestion", async () => {
    const here = await visit(
      await site.newcomer(),
      `${site.url}?${link({ "batch-size": 2, limit: 32, iterations: 60 })}`,
    );
    await says(here, "Press Train");
    const testing = saysAndDisables(here, /^Range test: \d+ of 60/, "#start");
    await button(here, "Find learning rate").click();
    await testing;
    await says(here, /suggested learning rate|too early/);
    expect(await here.page.locator("#range-chart svg").isVisible()).toBe(true);
    await here.page.locator("#range-answers button").first().click();
    await says(here, "The learning rate is");
    expect(await field(here, "Learning rate").inputValue()).not.toBe("0.01");
    expect(here.complaints).toEqual([]);
  });

  it("names its controls, each once", async () => {
    const here = await visit(await site.newcomer(), site.url);
    for (const name of ["Train", "Pause", "Stop", "Find learning rate", "Explain", "Download checkpoint"]) {
      expect(await button(here, name).count(), name).toBe(1);
      expect(await button(here, name).isVisible(), name).toBe(true);
    }
    for (const name of ["Model", "Epochs", "Batch size", "Learning rate"]) {
      expect(await field(here, name).count(), name).toBe(1);
      expect(await field(here, name).isVisible(), name).toBe(true);
    }
    // Nor does another name contain one of these.
    for (const name of ["Train", "Pause", "Stop", "Explain"]) {
      expect(await here.page.getByRole("button", { name }).count(), name).toBe(1);
    }
    for (const name of ["Model", "Epochs", "Batch size", "Learning rate"]) {
      expect(await here.page.getByLabel(name).count(), name).toBe(1);
    }
    expect(await here.page.getByRole("status").count()).toBe(1);
    expect(await here.page.locator("table").first().locator("caption").innerText()).toBe("Results");
  });

  it("says in one line what is wrong, and goes on", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${link()}`);
    await says(here, "Press Train");
    const problem = here.page.getByRole("alert");
    const refused = async (words: string): Promise<void> => {
      await button(here, "Train").click();
      await problem.filter({ hasText: words }).waitFor();
      await expect.poll(() => button(here, "Train").isEnabled()).toBe(true);
    };
    await field(here, "Batch size").fill("0");
    await refused("Batch size");
    await field(here, "Batch size").fill("16");
    await here.page.getByLabel("Schedule", { exact: true }).fill("onecycl");
    await refused('did you mean "onecycle"');
    await here.page.getByLabel("Schedule", { exact: true }).fill("");
    await field(here, "Learning rate").fill("1e30");
    await refused("lower the learning rate");
    await here.page.getByRole("button", { name: "Dismiss" }).click();
    expect(await problem.isVisible()).toBe(false);
  });

  it("says what is wrong with a link, and starts nothing then", async () => {
    const here = await visit(
      await site.newcomer(),
      `${site.url}?autostart=1&model=resnet9&epochs=7&lr=abc&modle=x&start=1&limit=32`,
    );
    await says(here, "Press Train");
    const problem = here.page.getByRole("alert");
    for (const words of ['no model "resnet9"', 'lr "abc" is no number', "modle is no setting", "start is no setting"]) {
      await problem.filter({ hasText: words }).waitFor();
    }
    expect(await field(here, "Epochs").inputValue()).toBe("7");
    // A start disables it in the moment of "Press Train".
    expect(await button(here, "Train").isEnabled()).toBe(true);
  });

  it("refuses a batch that does not fit, and names one that does", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?model=resnet18&batch-size=5000`);
    await says(here, "Press Train");
    await button(here, "Train").click();
    const problem = here.page.getByRole("alert").filter({ hasText: "the largest batch size that fits is about" });
    await problem.waitFor();
    const largest = Number(/about (\d+)/.exec(await problem.innerText())![1]);
    expect(largest).toBeGreaterThan(16);
    expect(largest).toBeLessThan(2500);
  });

  it("without WebGPU says what to do, and shows the rest of the page", async () => {
    for (const flags of [[], ["--disable-blink-features=WebGPU"]]) {
      const here = await visit(await site.newcomer({ webgpu: false, flags }), site.url);
      await says(here, "There is no WebGPU here");
      const advice = await here.page.getByRole("region", { name: "This browser offers no WebGPU" }).innerText();
      for (const browser of ["Chrome", "Firefox", "Safari", "https"]) expect(advice).toContain(browser);
      expect(await button(here, "Train").isDisabled()).toBe(true);
      expect(await button(here, "Train").isVisible()).toBe(true);
    }
  });

  it("has no serious finding of axe, in both themes, and does not scroll sideways, fresh and after training", async () => {
    const here = await visit(await site.newcomer(), `${site.url}?${link({ epochs: 1 })}`);
    await says(here, "Press Train");
    await here.page.addScriptTag({ path: axePath });
    const findings = async (): Promise<string[]> => {
      const all: string[] = [];
      for (const width of [360, 1200]) {
        await here.page.setViewportSize({ width, height: 800 });
        const wider = await here.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wider > 0) all.push(`${wider} pixels wider than ${width}`);
      }
      for (const colorScheme of ["light", "dark"] as const) {
        await here.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        const { violations } = await here.page.evaluate(() => (globalThis as unknown as { axe: Axe }).axe.run());
        for (const { id, impact, nodes } of violations) {
          if (impact === "serious" || impact === "critical") all.push(`${colorScheme}: ${id}: ${nodes[0].html}`);
        }
      }
      return all;
    };
    expect(await findings()).toEqual([]);
    await button(here, "Train").click();
    await says(here, "misclassified");
    await button(here, "Explain").click();
    await says(here, "the model says");
    expect(await findings()).toEqual([]);
  });
});
