// Figures: what they draw, that letters in PNGs are letters, and that odd runs do not break them.
import { readFileSync } from "node:fs";
import { PNG } from "pngjs";
import { describe, expect, it } from "vitest";
import { pictures } from "#pictures";
import { classificationReport, type EpochReport } from "../../../training/index.ts";
import { drawFigure, plainColors, saveFigure, type Figure } from "../../../training/report/figure.ts";
import {
  classBars,
  confusionMatrix,
  countBars,
  hiddenClasses,
  reliability,
} from "../../../training/report/figures/classes.ts";
import { compareCurves } from "../../../training/report/figures/compare.ts";
import {
  accuracyCurves,
  lossCurves,
  lrFinderCurve,
  rateCurves,
  singleCurve,
  stepLossCurve,
  thin,
} from "../../../training/report/figures/curves.ts";
import { gallery } from "../../../training/report/figures/gallery.ts";
import { fitted } from "../../../training/report/small-picture.ts";
import { temporaryFolder } from "../data/fixtures.ts";

const folder = temporaryFolder();

function parse({ svg }: Figure): Element {
  const holder = pictures.document.createElement("div");
  holder.innerHTML = svg;
  return holder.firstElementChild!;
}
const words = (figure: Figure): string[] =>
  [...parse(figure).querySelectorAll("text")].map((text) => text.textContent ?? "");

/** No number in it went wrong. */
function expectSound(figure: Figure): void {
  expect(figure.svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(figure.svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(parse(figure).getAttribute("aria-label")).toBe(figure.title);
}

const epoch = (n: number, testLoss: number | null): EpochReport => ({
  epoch: n,
  lr: 0.1,
  trainLoss: 2 / n,
  trainAccuracy: 1 - 0.8 / n,
  testLoss,
  testAccuracy: testLoss === null ? null : 0.5,
  seconds: 1,
  imagesPerSecond: 10,
});

function reportOf(classes: number, right: (i: number) => boolean, images = 4 * classes) {
  const labels = Array.from({ length: images }, (_, i) => i % classes);
  const logits = labels.flatMap((label, i) => {
    const said = right(i) ? label : (label + 1) % classes;
    return Array.from({ length: classes }, (_, c) => (c === said ? 3 + (i % 3) : 0));
  });
  return classificationReport({ logits, labels, classes: Array.from({ length: classes }, (_, c) => `class ${c}`) });
}

describe("text in PNGs", () => {
  const glyph = async (letter: string): Promise<Buffer> => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><text x="8" y="30" font-size="30">${letter}</text></svg>`;
    return PNG.sync.read(Buffer.from(await pictures.svgToPng(svg, { scale: 1 }))).data;
  };
  it("is drawn in a font that has the letters: they differ, and none is empty", async () => {
    const drawn = await Promise.all(["I", "W", "o", "é", "↑", "−", " "].map(glyph));
    const blank = drawn.at(-1)!;
    const dark = drawn.map((pixels) => pixels.filter((value, i) => i % 4 === 0 && value < 128).length);
    expect(blank.every((value) => value === 255)).toBe(true);
    expect(dark.slice(0, -1).every((count) => count > 10)).toBe(true);
    expect(new Set(drawn.map((pixels) => pixels.toString("base64"))).size).toBe(drawn.length);
  });
});

describe("figures", () => {
  it("follow the page by variables, and have light colours on white as PNG", async () => {
    const figure = lossCurves([epoch(1, 2), epoch(2, 1.5), epoch(3, 1)]);
    expectSound(figure);
    expect(figure.svg).toContain("var(--train, #0072b2)");
    expect(plainColors(figure.svg)).not.toMatch(/var\(|currentColor/);
    expect(await saveFigure(folder, figure, { svg: true })).toEqual(["loss.svg", "loss.png"]);
    const { width, data } = PNG.sync.read(readFileSync(`${folder}/loss.png`));
    expect(width).toBe(2 * 520);
    expect([...data.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
    const blue = Array.from({ length: data.length / 4 }, (_, i) => data.subarray(4 * i, 4 * i + 3).join()).filter(
      (rgb) => rgb === "0,114,178",
    );
    expect(blue.length).toBeGreaterThan(200);
  });

  it("draw a line for each curve that there is", () => {
    const lines = (figure: Figure): number => parse(figure).querySelectorAll('[aria-label="line"] path').length;
    const both = [epoch(1, 2), epoch(2, 1.5)];
    expect(lines(lossCurves(both))).toBe(2);
    expect(words(accuracyCurves(both)).join()).toContain("― test");
    const alone = [epoch(1, null), epoch(2, null)];
    expect(lines(accuracyCurves(alone))).toBe(1);
    expect(singleCurve(alone, "testLoss")).toBeNull();
    for (const figure of [lossCurves([epoch(1, 2)]), accuracyCurves(alone), singleCurve(both, "testAccuracy")!])
      expectSound(figure);
  });

  it("take names with any letters in them, as titles and as classes", async () => {
    const classes = ["salt & pepper", 'a<b>&amp;"c"', "bell\u0007", "plain"];
    const labels = [0, 1, 2, 3];
    const logits = labels.flatMap((label) => classes.map((_, c) => (c === label ? 3 : c)));
    const report = classificationReport({ logits, labels, classes });
    const figures = [classBars(report), confusionMatrix(report, { normalised: true })];
    figures.push(drawFigure("title", "1. R&B, is <dog>\u0001", {}));
    for (const figure of figures) await saveFigure(folder, figure);
    expect(words(figures[0])).toEqual(expect.arrayContaining(["salt & pepper", "bell"]));
    expect(figures[2].svg).toContain('aria-label="1. R&amp;B, is &lt;dog&gt;"');
  });

  it("write short numbers beside an axis also where there is one height only", () => {
    const once = { ...epoch(1, 1.9566651234), trainLoss: 1.9566651234, testAccuracy: 0.28571429 };
    const figures = [lossCurves([once]), singleCurve([once], "testAccuracy")!];
    const steps = [{ step: 0, lr: 0.1, momentum: 0.9, loss: 1.9566651234 }];
    figures.push(stepLossCurve(steps), ...rateCurves(steps));
    figures.push(...compareCurves([{ name: "run", epochs: [once] }]));
    for (const figure of figures) {
      expectSound(figure);
      for (const text of words(figure)) expect(text.length, `${figure.name}: ${text}`).toBeLessThan(22);
      expect(words(figure).filter((text) => /^[\d.]{6,}$/.test(text))).toEqual([]);
    }
  });

  it("compare runs by both ends of long names", () => {
    const name = `2026-11-22-resnet18-${"very-".repeat(12)}long-lr-0.1`;
    const [figure] = compareCurves([{ name, epochs: [epoch(1, 2), epoch(2, 1)] }]);
    const [shown] = words(figure).filter((text) => text.includes("…"));
    expect(shown).toMatch(/^― 2026-11-22-resnet18-.*….*-long-lr-0\.1$/);
    expect(shown).toHaveLength(2 + 56);
  });

  it("compare more runs than there are colours: the second round is dashed", () => {
    const runs = Array.from({ length: 10 }, (_, i) => ({ name: `run ${i}`, epochs: [epoch(1, 2), epoch(2, 1)] }));
    const [figure] = compareCurves(runs);
    expectSound(figure);
    const dashed = [...parse(figure).querySelectorAll('[aria-label="line"][stroke-dasharray]')];
    expect(dashed).toHaveLength(2);
    expect(words(figure)).toEqual(expect.arrayContaining(["― run 7", "- - run 8"]));
  });

  it("thin 100,000 steps to means within the extremes", () => {
    const rows = Array.from({ length: 100_000 }, (_, step) => ({
      step,
      lr: 0.1,
      momentum: 0.9,
      loss: step === 70_001 ? NaN : Math.sin(step) + step / 1e5,
    }));
    const points = thin(rows);
    expect(points.length).toBeLessThanOrEqual(600);
    expect(points.every(({ y, low, high }) => low < y && y < high)).toBe(true);
    expect(Math.max(...points.map(({ high }) => high))).toBe(
      rows.reduce((most, { loss }) => (loss > most ? loss : most), 0),
    );
    const [lr, momentum] = rateCurves(rows);
    for (const figure of [stepLossCurve(rows), lr, momentum]) {
      expectSound(figure);
      expect(figure.svg.length).toBeLessThan(60_000);
    }
    for (const figure of [stepLossCurve(rows.slice(0, 1)), ...rateCurves(rows.slice(0, 1))]) expectSound(figure);
  });

  it("mark the suggestions of a range test, and survive losses that are not finite", () => {
    const lrs = Array.from({ length: 30 }, (_, i) => 1e-5 * 1.6 ** i);
    const losses = lrs.map((lr, i) => (i === 29 ? null : 2.3 - (lr < 0.01 ? lr * 100 : 1 - lr * 50)));
    const test = { lrs, losses, smoothed: losses, suggestion: 1.91e-3, method: "valley" };
    const figure = lrFinderCurve({ ...test, suggestions: { valley: 1.91e-3, slide: null, steepest: 4e-3 } });
    expectSound(figure);
    expect(words(figure)).toEqual(expect.arrayContaining(["valley 1.91E-03", "steepest"]));
    expect(words(figure)).not.toContain("slide");
    expectSound(lrFinderCurve({ ...test, suggestions: {}, suggestion: null, method: null }));
    const one = { lrs: [1], losses: [null], smoothed: [null], suggestions: {}, suggestion: null, method: null };
    expectSound(lrFinderCurve(one));
  });

  it("show classes: 10 with numbers, 100 without, 1 alone", () => {
    const ten = reportOf(10, (i) => i % 4 !== 0);
    expect(words(confusionMatrix(ten, { normalised: true })).filter((text) => text === "0.500")).toHaveLength(10);
    expect(words(confusionMatrix(ten, { normalised: false })).filter((text) => text === "2")).toHaveLength(10);
    expect(words(classBars(ten)).filter((text) => text === "50.0 %")).toHaveLength(5);
    const hundred = reportOf(100, (i) => i % 3 !== 0);
    expect(confusionMatrix(hundred, { normalised: true }).title).toContain("the first 30");
    expect(words(confusionMatrix(hundred, { normalised: false })).join()).toContain("the first 30 of 100 classes");
    expect([hiddenClasses(ten), hiddenClasses(hundred)]).toEqual([0, 70]);
    expect(classBars(hundred).title).toContain("40 worst");
    for (const report of [ten, hundred, reportOf(1, () => true)]) {
      const counts = report.perClass.map(({ count }) => count);
      const names = report.perClass.map((row) => row.class);
      const figures = [
        classBars(report),
        reliability(report),
        confusionMatrix(report, { normalised: true }),
        confusionMatrix(report, { normalised: false }),
        countBars([{ name: "training", counts }], names),
      ];
      figures.forEach(expectSound);
    }
  });
});

describe("galleries", () => {
  const picture = { width: 2, height: 2, data: new Uint8Array(12).fill(200) };

  it("place pictures in rows with captions that stay in their cells", async () => {
    const items = Array.from({ length: 5 }, (_, i) => ({ picture, caption: `name ${i}\nof an endless second line` }));
    const figure = await gallery(items, { name: "g", title: "G", columns: 3, size: 60 });
    expectSound(figure);
    const images = [...parse(figure).querySelectorAll("image")];
    expect(new Set(images.map((image) => `${image.getAttribute("x")} ${image.getAttribute("y")}`)).size).toBe(5);
    expect(images.every((image) => image.getAttribute("href")?.startsWith("data:image/png;base64,"))).toBe(true);
    expect(words(figure).every((text) => !text.includes("second line"))).toBe(true);
    expectSound(await gallery([], { name: "none", title: "None", columns: 3 }));
  });

  it("enlarge in squares: no colours that the picture does not have", async () => {
    const checks = { width: 2, height: 2, data: Uint8Array.from([0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0]) };
    const { svg } = await gallery([{ picture: checks, caption: "" }], { name: "g", title: "G", columns: 1, size: 64 });
    const { width, data } = PNG.sync.read(Buffer.from(await pictures.svgToPng(plainColors(svg), { scale: 1 })));
    const at = (x: number, y: number): string => data.subarray((y * width + x) * 4, (y * width + x) * 4 + 3).join();
    expect([at(20, 20), at(33, 20), at(40, 20), at(20, 50), at(50, 50)]).toEqual([
      "0,0,0",
      expect.stringMatching(/^(0|255),0,0$/),
      "255,0,0",
      "255,0,0",
      "0,0,0",
    ]);
  });

  it("shrink large pictures to means of blocks", () => {
    expect(fitted(picture)).toBe(picture);
    const data = Uint8Array.from({ length: 200 * 129 * 3 }, (_, i) => (Math.floor(i / 3) % 2 === 0 ? 100 : 200));
    const small = fitted({ width: 200, height: 129, data });
    expect([small.width, small.height]).toEqual([100, 65]);
    expect(small.data.every((value) => value === 150)).toBe(true);
  });
});
