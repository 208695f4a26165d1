// The report of a small real run: what is in it, and that it is in it safely.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { PNG } from "pngjs";
import { beforeAll, describe, expect, it } from "vitest";
import type { EpochReport } from "../../../training/index.ts";
import { Conv2d, Flatten, GlobalAvgPool, Linear, Sequential } from "../../../nn/index.ts";
import { readRunFiles } from "../../../training/report/run-files.ts";
import { writeReport } from "../../../training/report/report.ts";
import { testDevice } from "../../support/gpu.ts";
import { testImages, trainImages } from "../../support/tiny-data.ts";
import { EVIL_CLASS, tinyDataset, tinyReport } from "../../support/tiny-report.ts";
import { put, temporaryFolder } from "../data/fixtures.ts";

const root = temporaryFolder();
const dir = join(root, "run");
let html: string;
let names: readonly string[];
let page: Document;

const textOf = (selector: string): string => page.querySelector(selector)?.textContent?.replace(/\s+/g, " ") ?? "";

beforeAll(async () => {
  ({ html, names } = await tinyReport(dir));
  page = parseHTML(html).document;
});

describe("the report of a run", () => {
  it("has all sections, each in the table of contents", () => {
    const ids = [...page.querySelectorAll("main > section")].map(({ id }) => id);
    expect(ids).toEqual(["summary", "curves", "rates", "classes", "mistakes", "explain", "data", "model", "setup"]);
    const links = [...page.querySelectorAll("nav a")].map((link) => link.getAttribute("href"));
    expect(links).toEqual(ids.map((id) => `#${id}`));
  });

  it("says the run's figures", () => {
    const rows = readFileSync(join(dir, "metrics.jsonl"), "utf8").trim().split("\n");
    const last = JSON.parse(rows.at(-1)!) as EpochReport;
    const accuracy = `${(100 * last.testAccuracy!).toFixed(2)} %`;
    expect(textOf(".tiles")).toContain(`Test accuracy ${accuracy}`);
    expect(textOf(".tiles")).toContain(`Test loss ${last.testLoss!.toFixed(4)}`);
    const wrong = Math.round(20 * (1 - last.testAccuracy!));
    expect(textOf("#mistakes")).toContain(`${wrong} misclassified images of 20`);
    expect(textOf("#summary")).toContain(`${accuracy.replace(/\d %$/, " %")} test accuracy after 2 epochs`);
    expect(textOf("#summary")).toContain('"Best" was chosen by the test set itself');
    const cells = [...page.querySelectorAll("#curves tbody tr")].map((row) => row.children[2].textContent);
    expect(cells).toEqual(rows.map((row) => (JSON.parse(row) as EpochReport).trainLoss.toFixed(4)));
    expect(textOf("#model pre")).toContain("Total params: 78,042");
    expect(textOf("#setup")).toContain("pad-crop:4,flip");
  });

  it("draws every figure into the page and as PNG", () => {
    const figures = [...page.querySelectorAll("figure")].map(({ id }) => id.replace(/^figure-/, ""));
    expect(new Set(figures).size).toBe(figures.length);
    expect(names).toEqual(["report.html", ...figures.map((name) => `pictures/${name}.png`)]);
    expect(figures).toEqual(
      expect.arrayContaining([
        "loss",
        "accuracy",
        "confusion",
        "calibration",
        "samples",
        "augmentation",
        "cam-classes",
      ]),
    );
    for (const name of figures) {
      const { width, data } = PNG.sync.read(readFileSync(join(dir, "pictures", `${name}.png`)));
      expect(width).toBeGreaterThan(300);
      expect(new Set(data).size).toBeGreaterThan(8);
    }
    const wrong = Number(/(\d+) misclassified/.exec(textOf("#mistakes"))![1]);
    expect(page.querySelectorAll("#figure-misclassified image")).toHaveLength(wrong);
    expect(page.querySelectorAll('[id^="figure-mistake-"]')).toHaveLength(wrong);
    expect(page.querySelectorAll("#figure-mistake-01 image")).toHaveLength(4);
    expect(page.querySelectorAll("#figure-cam-layers image")).toHaveLength(4);
    expect(page.querySelectorAll("#figure-cam-classes image")).toHaveLength(11);
    expect(page.querySelectorAll("#figure-augmentation image")).toHaveLength(16);
  });

  it("needs nothing else, and no name is taken for HTML", () => {
    expect(page.querySelectorAll("script, link:not([rel=icon]), iframe, object, embed")).toHaveLength(0);
    const addresses = [...page.querySelectorAll("[src], [href], [action]")].flatMap((element) =>
      ["src", "href", "action"].map((name) => element.getAttribute(name) ?? ""),
    );
    expect(addresses.filter((address) => !/^($|#|data:)/.test(address))).toEqual([]);
    expect(html.replace(/xmlns(:\w+)?="[^"]*"/g, "")).not.toMatch(/https?:|url\((?!#)|@import/);
    expect(page.querySelectorAll("img, [onerror]")).toHaveLength(0);
    expect(textOf("#classes")).toContain(EVIL_CLASS.replace(/\s+/g, " "));
    expect(textOf("h1")).toBe("resnet8 on tiny <shapes>");
  });

  it("uses each id once", () => {
    const ids = [...page.querySelectorAll("[id]")].map(({ id }) => id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });
});

describe("what a run may lack", () => {
  const linear = () => new Sequential(new Flatten(), new Linear(3072, 10)).initialize(1);

  it("reads what there is, without half lines", async () => {
    const folder = join(root, "half");
    put(join(folder, "metrics.jsonl"), '{"epoch":1,"trainLoss":1}\n{"epoch":2,"trai');
    put(join(folder, "lr-finder.json"), "null");
    expect(await readRunFiles(folder)).toEqual({
      config: {},
      epochs: [{ epoch: 1, trainLoss: 1 }],
      steps: [],
      rangeTest: null,
    });
  });

  it("says so where there are no epochs and no mistakes, and shows a range test where there is one", async () => {
    await testDevice();
    const folder = join(root, "empty");
    put(
      join(folder, "lr-finder.json"),
      JSON.stringify({
        lrs: [1e-4, 1e-3, 1e-2, 1e-1],
        losses: [2.3, 2, 1, null],
        smoothed: [2.3, 2.1, 1.5, null],
        suggestions: { valley: 1.91e-3, slide: null },
        suggestion: 1.91e-3,
        method: "valley",
        stopped: { reason: "not-finite", message: "the loss was not finite" },
        warnings: ["they <disagree>"],
      }),
    );
    // All images of one class, so that the data has one class only, and a model of one output cannot be wrong.
    const one = (count: number, set: typeof testImages) => ({ ...set(count), labels: new Uint8Array(count) });
    using data = tinyDataset(["only"], one(4, trainImages), one(4, testImages));
    using model = new Sequential(new Conv2d(3, 4, { kernel: 3 }), new GlobalAvgPool(), new Linear(4, 1)).initialize(1);
    await writeReport({ dir: folder, model, data });
    const { document } = parseHTML(readFileSync(join(folder, "report.html"), "utf8"));
    const text = document.body.textContent?.replace(/\s+/g, " ") ?? "";
    expect(text).toContain("No epoch was finished");
    expect(text).toContain("0 misclassified images of 4 (0.00 %)");
    expect(text).toContain("No class was taken for another");
    expect(text).toContain("Suggested LR: 1.91E-03");
    expect(text).toContain("they <disagree>");
    expect(text).toContain("Where the model looks");
    expect(text).not.toMatch(/NaN|undefined|null/);
  });

  it("explains nothing where the model has no layer with places", async () => {
    const folder = join(root, "flat");
    put(join(folder, "steps.jsonl"), "");
    using data = tinyDataset(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], trainImages(4), testImages(12));
    using model = linear();
    const names = await writeReport({ dir: folder, model, data });
    expect(names).toContain("pictures/misclassified.png");
    expect(names.filter((name) => name.includes("cam") || name.includes("mistake-"))).toEqual([]);
    expect(readFileSync(join(folder, "report.html"), "utf8")).toContain("no layer with places");
  });

  it("stops when it is told to, before the page is written", async () => {
    const folder = join(root, "stopped");
    put(join(folder, "steps.jsonl"), "");
    const stop = new AbortController();
    using data = tinyDataset(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], trainImages(4), testImages(4));
    using model = linear();
    const work = writeReport({ dir: folder, model, data, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(work).rejects.toThrow("aborted");
    expect(existsSync(join(folder, "report.html"))).toBe(false);
    writeFileSync(join(folder, "done"), "");
  });
});
