// Looking into a trained model, and its files: one page that trains once, used as a person does, one panel after the other.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { unzipSync } from "fflate";
import type { BrowserContext, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createModel, exportWeights } from "../../nn/index.ts";
import { loadRaw, rawImage, type DecodedImage, type RawDataset } from "../../training/index.ts";
import { runCli } from "../cli/run-cli.ts";
import { skipsWithoutChromium } from "../support/chromium.ts";
import { testDevice } from "../support/gpu.ts";
import { png, put, temporaryFolder } from "../training/data/fixtures.ts";
import { button, downloaded, field, openSite, says, visit, type Site, type Visit } from "./visit.ts";

const TESTS = 100;
const RECIPE = `model=resnet8&epochs=2&limit=160&limit-test=${TESTS}&batch-size=20&lr=0.02&seed=1`;
const CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
const folder = temporaryFolder();

/** Calls into the worker that the tests make themselves. */
interface Console {
  readonly kiln: {
    readonly session: {
      explainPicture(source: object, options: object): Promise<{ probabilities: Float32Array; picture: DecodedImage }>;
    };
    readonly model: { readonly value: { readonly defaultLayer: string } };
  };
}

describe.skipIf(skipsWithoutChromium("nothing was explained in the page"))("the page's trained model", () => {
  let site: Site;
  let context: BrowserContext;
  let here: Visit;
  let raw: RawDataset;
  const at = (selector: string): Locator => here.page.locator(selector);
  const problem = (): Locator => here.page.getByRole("alert");

  beforeAll(async () => {
    site = await openSite();
    context = await site.newcomer({ flags: CAMERA });
    await context.grantPermissions(["camera"], { origin: new URL(site.url).origin });
    here = await visit(context, `${site.url}?autostart=1&${RECIPE}`);
    raw = await loadRaw("shapes", { limit: 160, limitTest: TESTS });
    await says(here, /Training is done.* Test accuracy/);
  });
  afterAll(() => site?.[Symbol.asyncDispose]());
  afterEach(() => {
    // Each test's own complaints.
    expect(here.complaints.splice(0)).toEqual([]);
  });

  /** What a canvas shows, as text to compare. */
  const pixels = (selector: string): Promise<string> =>
    at(selector)
      .first()
      .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
  /** Bytes of RGB. */
  const rgb = (canvas: Locator): Promise<number[]> =>
    canvas.evaluate((node) => {
      // From a copy: Chromium warns where a canvas is read again and again.
      const { width, height } = node as HTMLCanvasElement;
      const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
      copy.drawImage(node as HTMLCanvasElement, 0, 0);
      const { data } = copy.getImageData(0, 0, width, height);
      return Array.from(data).filter((_, i) => i % 4 !== 3);
    });
  /** Rounded to whole percents, which the gallery and the status line show. */
  const answered = async (): Promise<{ name: string; percent: number }[]> =>
    (await at("#heat-answers li").allInnerTexts()).map((line) => {
      const [, name, percent] = /^(.*?)(?: \(right\))?\s+([\d.]+) %$/s.exec(line)!;
      return { name, percent: Number(percent) };
    });
  /** Does something that asks for a heat map, and waits for it. */
  const looked = async (ask: () => Promise<unknown>): Promise<void> => {
    await ask();
    await at("#heat:not([aria-busy])").waitFor();
  };
  /** What the model makes of a test image alone, asked past the panels. */
  const probabilities = (index: number): Promise<number[]> =>
    here.page.evaluate(async (index) => {
      const { session, model } = (globalThis as unknown as Console).kiln;
      const options = { layer: model.value.defaultLayer, method: "grad-cam" };
      return Array.from((await session.explainPicture({ index }, options)).probabilities);
    }, index);
  const counts = async (): Promise<number[][]> =>
    Promise.all(
      (await at("#confusion tbody tr").all()).map(async (row) =>
        (await row.locator("button").allInnerTexts()).map(Number),
      ),
    );
  /** Captions and test images of the gallery, where all are shown. */
  const gallery = async (): Promise<{ text: string; sure: number; index: number }[]> => {
    await at("#gallery li").first().waitFor();
    while (await button(here, "Show more").isEnabled()) {
      const before = await at("#gallery li").count();
      await button(here, "Show more").click();
      await at(`#gallery li:nth-child(${before + 1})`).waitFor();
    }
    return Promise.all(
      (await at("#gallery button").all()).map(async (item) => {
        const [, text, sure] = /^(.*) (\d+) %$/s.exec((await item.innerText()).replaceAll("\u00a0", " ").trim())!;
        return { text, sure: Number(sure), index: Number(await item.getAttribute("data-index")) };
      }),
    );
  };

  it("has every id once", async () => {
    const ids = await at("[id]").evaluateAll((all) => all.map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(100);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });

  it("shows the figures of the last epoch, and a confusion matrix that adds up to them", async () => {
    const cells = await at("#epochs tbody tr").last().locator("td").allInnerTexts();
    const accuracy = Number(/^([\d.]+) %$/.exec(cells[4])![1]) / 100;
    expect(await at("#test-accuracy").innerText()).toBe(`${(100 * accuracy).toFixed(2)} %`);
    expect(Math.abs(Number(await at("#test-loss").innerText()) - Number(cells[3]))).toBeLessThan(2e-4);
    const matrix = await counts();
    expect(matrix).toHaveLength(10);
    const sum = (row: readonly number[]): number => row.reduce((all, one) => all + one, 0);
    expect(sum(matrix.map(sum))).toBe(TESTS);
    expect(sum(matrix.map((row, label) => row[label]))).toBe(Math.round(accuracy * TESTS));
    expect(matrix.map(sum)).toEqual(
      raw.classes.map((_, label) => raw.test.labels.filter((truth) => truth === label).length),
    );
    const wrong = TESTS - Math.round(accuracy * TESTS);
    expect(wrong).toBeGreaterThan(0);
    await says(here, `${wrong} of ${TESTS} misclassified`);
    expect(await at("#gallery-count").innerText()).toBe(`${Math.min(12, wrong)} of ${wrong}, the most confident first`);
  });

  it("lists the mistakes by confidence, and shows a cell's images by mouse and by keyboard", async () => {
    const mistakes = await gallery();
    expect(mistakes.map(({ sure }) => sure)).toEqual(mistakes.map(({ sure }) => sure).sort((a, b) => b - a));
    expect(mistakes[0].sure).toBeGreaterThan(mistakes.at(-1)!.sure);
    const matrix = await counts();
    const full = matrix.flatMap((row, truth) =>
      row.flatMap((count, prediction) => (count > 0 && truth !== prediction ? [{ truth, prediction, count }] : [])),
    );
    const { truth, prediction, count } = full.reduce((a, b) => (b.count > a.count ? b : a));
    const words = `${raw.classes[truth]}, taken for ${raw.classes[prediction]}`;
    const cell = at(`#confusion button[data-truth="${truth}"][data-prediction="${prediction}"]`);
    await cell.click();
    expect(await cell.getAttribute("aria-pressed")).toBe("true");
    expect(await at("#gallery-title").innerText()).toBe(words);
    const shown = await gallery();
    expect(shown).toEqual(mistakes.filter(({ text }) => text === words));
    expect(shown).toHaveLength(count);
    for (const { index } of shown) expect(raw.test.labels[index]).toBe(truth);
    const said = await probabilities(shown[0].index);
    expect(said.indexOf(Math.max(...said))).toBe(prediction);
    expect(Math.round(100 * Math.max(...said))).toBe(shown[0].sure);
    expect(await rgb(at("#gallery canvas").first())).toEqual([...rawImage(raw.test, shown[0].index).data]);

    // To the diagonal with the arrow keys: the one tab stop goes along.
    const [key, way] = prediction < truth ? ["ArrowRight", 1] : ["ArrowLeft", -1];
    for (let x = prediction; x !== truth; x += way) await here.page.keyboard.press(key);
    await here.page.keyboard.press("Enter");
    expect(await at("#gallery-title").innerText()).toBe(`${raw.classes[truth]}, recognised`);
    expect(await at("#confusion button[tabindex='0']").getAttribute("data-prediction")).toBe(String(truth));
    expect(await at("#confusion [aria-pressed=true]").count()).toBe(1);
    if (matrix[truth][truth] > 0) {
      const right = await gallery();
      expect(right.map(({ text }) => text)).toEqual(right.map(() => `${raw.classes[truth]}, recognised`));
      expect(right).toHaveLength(matrix[truth][truth]);
    } else expect(await at("#gallery-count").innerText()).toBe("No image.");

    await button(here, "Back to the misclassified").click();
    expect(await at("#confusion [aria-pressed=true]").count()).toBe(0);
    expect(await gallery()).toEqual(mistakes);
  });

  it("explains the most confident mistake, by every layer, class and method", async () => {
    const [{ index, text, sure }] = await gallery();
    const [truth, said] = text.split(", taken for ");
    await looked(() => button(here, "Explain").click());
    await says(here, `Test image ${index}: the model says ${said}, ${sure} % sure; the truth is ${truth}.`);
    expect(await at(`#gallery [data-index="${index}"]`).getAttribute("aria-pressed")).toBe("true");
    expect(await rgb(at("#heat-picture"))).toEqual([...rawImage(raw.test, index).data]);
    const answers = await answered();
    expect(answers).toHaveLength(5);
    expect(answers[0].name).toBe(said);
    const own = (await probabilities(index)).sort((a, b) => b - a).slice(0, 5);
    answers.forEach(({ percent }, i) => expect(percent).toBeCloseTo(100 * own[i], 1));

    const seen = [await pixels("#heat-map")];
    expect(new Set(await rgb(at("#heat-map"))).size).toBeGreaterThan(20);
    const changes = async (field: string, value: string): Promise<void> => {
      await looked(() => here.page.getByLabel(field, { exact: true }).selectOption(value));
      const now = await pixels("#heat-map");
      expect(seen, `${field} ${value}`).not.toContain(now);
      seen.push(now);
    };
    await changes("Method", "layer-cam");
    await changes("Layer", "layer2.0");
    await changes("Class", { label: truth }.label);
    expect(await at("#heat-caption").innerText()).toContain(`What speaks for ${truth}`);
    expect(await answered()).toEqual(answers);
  });

  it("lets the heat through as Opacity says, without asking the worker", async () => {
    await here.page.evaluate(() => {
      Object.assign(globalThis, { asked: 0 });
      const apply = (post: () => void, worker: Worker, message: []): void => {
        (globalThis as unknown as { asked: number }).asked++;
        Reflect.apply(post, worker, message);
      };
      const { prototype } = Worker as unknown as { prototype: { postMessage: () => void } };
      prototype.postMessage = new Proxy(prototype.postMessage, { apply });
    });
    const asked = (): Promise<number> => here.page.evaluate(() => (globalThis as unknown as { asked: number }).asked);
    const heat = at("#heat-map");
    const opacity = (): Promise<string> => heat.evaluate((canvas) => getComputedStyle(canvas).opacity);
    const before = await pixels("#heat-map");
    expect(await opacity()).toBe("0.5");
    for (const [value, style] of Object.entries({ 0: "0", 80: "0.8", 100: "1" })) {
      await here.page.getByLabel("Opacity").fill(value);
      expect(await opacity()).toBe(style);
    }
    expect(await pixels("#heat-map")).toBe(before);
    expect(await asked()).toBe(0);
    // Where the worker is asked, it is counted.
    await looked(() => here.page.getByLabel("Class", { exact: true }).selectOption("predicted"));
    expect(await asked()).toBe(1);
  });

  it("shows the picture under every class", async () => {
    await looked(() => button(here, "Every class").click());
    await at("#class-heats li").nth(9).waitFor();
    const lines = await at("#class-heats li").allInnerTexts();
    expect(lines).toHaveLength(10);
    const shares = lines.map((line) => Number(/([\d.]+) %$/.exec(line.trim())![1]));
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    expect(Math.abs(shares.reduce((a, b) => a + b) - 100)).toBeLessThan(0.6);
    expect(new Set(lines.map((line) => line.trim().replace(/ [\d.]+ %$/, "")))).toEqual(new Set(raw.classes));
    const maps = await at("#class-heats canvas:nth-child(2)").evaluateAll((all) =>
      all.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()),
    );
    expect(new Set(maps).size).toBeGreaterThan(5);
    await button(here, "Every class").click();
    expect(await at("#class-heats li").count()).toBe(0);
  });

  it("classifies a picture of one's own, from a file and drawn", async () => {
    // A test image as a file: the same answer as for the image.
    const index = 7;
    const { data } = rawImage(raw.test, index);
    const pixel = (x: number, y: number) => [...data.subarray(3 * (32 * y + x), 3 * (32 * y + x) + 3)];
    const path = put(
      join(folder, "seven.png"),
      png(32, 32, (x, y) => pixel(x, y) as [number, number, number]),
    );
    await here.page.getByLabel("Drop a picture here or choose one").setInputFiles(path);
    const want = await probabilities(index);
    const label = want.indexOf(Math.max(...want));
    await says(here, `seven.png: the model says ${raw.classes[label]}, ${(100 * want[label]).toFixed(0)} % sure.`);
    expect(await rgb(at("#heat-picture"))).toEqual([...data]);

    // What cannot be read is not chosen: the picture before is still the one that is looked into.
    const broken = put(join(folder, "broken.png"), "no picture");
    await here.page.getByLabel("Drop a picture here or choose one").setInputFiles(broken);
    await problem().filter({ hasText: "broken.png is no picture" }).waitFor();
    await looked(() => button(here, "Explain").click());
    await says(here, `seven.png: the model says ${raw.classes[label]}`);
    expect(await problem().isVisible()).toBe(false);

    expect(await button(here, "Classify drawing").isDisabled()).toBe(true);
    await at("#sketch").scrollIntoViewIfNeeded();
    await here.page.getByLabel("Pen size").fill("70");
    const { x, y, width, height } = (await at("#sketch").boundingBox())!;
    await here.page.mouse.move(x + 0.2 * width, y + 0.5 * height);
    await here.page.mouse.down();
    await here.page.mouse.move(x + 0.8 * width, y + 0.5 * height, { steps: 5 });
    await here.page.mouse.up();
    await button(here, "Classify drawing").click();
    await says(here, /^Your drawing: the model says \w+, \d+ % sure\.$/);
    const drawn = await rgb(at("#heat-picture"));
    // The pen's orange in the middle, the paper above.
    const colour = (column: number, row: number): number[] =>
      drawn.slice(3 * (32 * row + column), 3 * (32 * row + column) + 3);
    expect(colour(16, 16)).toEqual([0xe6, 0x9f, 0x00]);
    expect(colour(16, 4)).toEqual([0x1d, 0x27, 0x33]);
    await button(here, "Clear drawing").click();
    expect(await button(here, "Classify drawing").isDisabled()).toBe(true);
    expect(new Set(await rgb(at("#sketch")))).toEqual(new Set([0x1d, 0x27, 0x33]));
  });

  it("hands out a report that needs nothing else, and a run that the command line takes", async () => {
    const accuracy = await at("#test-accuracy").innerText();
    const file = join(folder, "report.html");
    const shapes = button(here, "Built-in shapes");
    const downloading = downloaded(here, "Download report", file);
    // One at a time; and the images may be changed, which then waits until the report has been made of those that are there.
    await expect.poll(() => button(here, "Download report").isDisabled()).toBe(true);
    await says(here, "Report:");
    await shapes.click();
    await downloading;
    await says(here, "images in 10 classes are loaded");
    expect(readFileSync(file, "utf8")).not.toMatch(
      /(?:src|srcset|data|action)\s*=\s*["']?https?:|<link[^>]*href="(?!data:)|url\(["']?https?:|@import/i,
    );
    const opened = await context.newPage();
    const wrong: string[] = [];
    opened.on("console", (message) => wrong.push(message.text()));
    opened.on("pageerror", (error) => wrong.push(String(error)));
    opened.on("request", (request) => {
      if (!/^(data|blob|file):/.test(request.url())) wrong.push(request.url());
    });
    await opened.goto(pathToFileURL(file).href);
    expect(await opened.locator("body").innerText()).toContain(accuracy);
    expect(await opened.locator("svg").count()).toBeGreaterThan(3);
    await opened.close();
    expect(wrong).toEqual([]);

    await downloaded(here, "Download run (ZIP)", join(folder, "run.zip"));
    await downloaded(here, "Download metrics", join(folder, "metrics.jsonl"));
    const entries = unzipSync(readFileSync(join(folder, "run.zip")));
    for (const [name, bytes] of Object.entries(entries)) {
      put(join(folder, name), bytes);
      put(join(folder, "again", name), bytes);
    }
    expect(Object.keys(entries).sort()).toEqual(
      [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "report.html",
        "state.safetensors",
        "steps.jsonl",
      ].map((name) => `kiln-run/${name}`),
    );
    expect(readFileSync(join(folder, "metrics.jsonl"))).toEqual(Buffer.from(entries["kiln-run/metrics.jsonl"]));
    const compared = await runCli("compare", ["kiln-run", "again/kiln-run", "--json", "--out", "compared"], {
      cwd: folder,
    });
    expect(compared.status, compared.stderr).toBe(0);
    expect(compared.stdout).toContain(String(Number.parseFloat(accuracy) / 100));
    const resumed = await runCli("train", ["--resume", "kiln-run", "--no-report"], { cwd: folder });
    expect(resumed.status, resumed.stderr).toBe(0);
  });

  it("says in one line that a file is damaged, and keeps the model", async () => {
    const whole = join(folder, "whole.safetensors");
    await downloaded(here, "Download checkpoint", whole);
    const bytes = readFileSync(whole);
    const note = await at("#test-note").innerText();
    const open = here.page.getByLabel("Open a checkpoint");
    const damaged = put(join(folder, "damaged.safetensors"), bytes.subarray(0, bytes.length - 1000));
    for (let time = 0; time < 2; time++) {
      await open.setInputFiles(damaged);
      const line = problem().filter({ hasText: "damaged.safetensors" });
      await line.waitFor();
      expect((await line.locator("p").innerText()).split("\n")).toHaveLength(1);
      await here.page.getByRole("button", { name: "Dismiss" }).click();
    }
    expect(await at("#test-note").innerText()).toBe(note);
    await downloaded(here, "Download checkpoint", join(folder, "after.safetensors"));
    expect(readFileSync(join(folder, "after.safetensors"))).toEqual(bytes);
  });

  it("with a model of other classes says why there is no test, and looks at one's own pictures", async () => {
    await testDevice();
    using model = createModel("resnet8", { classes: 3, seed: 5 });
    const info = {
      name: "resnet8",
      stem: "cifar",
      classes: 3,
      imageSize: 32,
      classNames: ["ant", "bee", "cat"],
    } as const;
    const path = put(join(folder, "three.safetensors"), await exportWeights(model, info));
    await here.page.getByLabel("Open a checkpoint").setInputFiles(path);
    const why = "the model tells 3 classes apart, the images that are loaded are of 10";
    await says(here, `three.safetensors is open. No test: ${why}.`);
    expect(await at("#test-note").innerText()).toContain(why);
    for (const figure of ["accuracy", "loss", "top5", "ece"]) expect(await at(`#test-${figure}`).innerText()).toBe("–");
    expect(await at("#confusion button").count()).toBe(0);
    expect(await at("#gallery li").count()).toBe(0);
    await here.page.getByLabel("Drop a picture here or choose one").setInputFiles(join(folder, "seven.png"));
    await says(here, /^seven\.png: the model says (ant|bee|cat), \d+ % sure\.$/);
    expect((await answered()).map(({ name }) => name).sort()).toEqual(["ant", "bee", "cat"]);
    for (const name of ["Download report", "Download run (ZIP)"]) {
      // The run is there still.
      expect(await button(here, name).isEnabled(), name).toBe(true);
    }
  });

  it("answers live from the camera, until its panel is left or training starts", async () => {
    const answers = at("#live-answers li");
    const streams = (): Promise<boolean> =>
      at("#live-video").evaluate((video) => (video as HTMLVideoElement).srcObject !== null);
    const start = async (): Promise<void> => {
      await button(here, "Start camera view").click();
      await answers.nth(2).waitFor();
      expect(await streams()).toBe(true);
      expect(await at("#live-heat").isVisible()).toBe(true);
    };
    // A method too slow for a video gives way.
    await here.page.getByLabel("Method", { exact: true }).selectOption("score-cam");
    await start();
    // Read in one go: every frame brings new lines, and one that has gone out of the page has no layout, so no space between its parts.
    const lines = await at("#live-answers").evaluate((list: HTMLElement) =>
      Array.from(list.children, (line) => (line as HTMLElement).innerText),
    );
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/^(ant|bee|cat)\s+[\d.]+ %$/);
    expect(new Set(await rgb(at("#live-heat"))).size).toBeGreaterThan(20);
    await at("h1").scrollIntoViewIfNeeded();
    await says(here, "The camera is off: its panel was left.");
    expect(await streams()).toBe(false);
    expect(await answers.count()).toBe(0);

    // On a page that needs no scrolling, so that nothing but the training ends it.
    await here.page.setViewportSize({ width: 1200, height: 5000 });
    await start();
    await field(here, "Epochs").fill("50");
    await button(here, "Train").click();
    await says(here, /Compiling|Training|Preparing/);
    await expect.poll(streams).toBe(false);
    expect(await button(here, "Start camera view").isDisabled()).toBe(true);
    expect(await button(here, "End camera view").isDisabled()).toBe(true);
    expect(await answers.count()).toBe(0);
    await says(here, "Training:");
    await button(here, "Stop").click();
    await says(here, "Stopped.");
    expect(await problem().isVisible()).toBe(false);
  });
});
