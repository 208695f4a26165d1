// report.html: one page about a run, and each of its pictures as PNG.
import { files } from "#files";
import type { Module } from "../../nn/index.ts";
import { parseAugment } from "../augment-grammar.ts";
import { classificationReport, type ClassificationReport } from "../classification-report.ts";
import type { Dataset } from "../data/device-dataset.ts";
import { classCounts } from "../data/looks.ts";
import { evaluateBatches } from "../evaluate.ts";
import type { Tta } from "../tta.ts";
import { saveFigure } from "./figure.ts";
import { percent } from "./format.ts";
import type { Material } from "./material.ts";
import { page } from "./page.ts";
import { inside, readRunFiles, type RunFiles } from "./run-files.ts";
import type { Section } from "./section.ts";
import { classesSection } from "./sections/classes.ts";
import { curvesSection } from "./sections/curves.ts";
import { dataSection } from "./sections/data.ts";
import { explainSection } from "./sections/explain.ts";
import { mistakesSection } from "./sections/mistakes.ts";
import { ratesSection } from "./sections/rates.ts";
import { modelSection, setupSection } from "./sections/setup.ts";
import { summarySection } from "./sections/summary.ts";
import { verdict, type Verdict } from "./verdict.ts";

/** Where the pictures go, below the run's folder. */
const PICTURES = "pictures";

export interface ReportOptions {
  /** The run's folder: its metrics.jsonl, steps.jsonl, config.json and lr-finder.json are read where they are there. */
  readonly dir: string;
  /** With the weights that the report is about. */
  readonly model: Module;
  readonly data: Dataset;
  /** Which weights these are, to go after "the weights": "of epoch 12, the best by validation". Default "at the end of the run". */
  readonly weights?: string | undefined;
  /** Views of each test image; default "none". */
  readonly tta?: Tta | undefined;
  /** Also write each figure as a PNG below `pictures/`; default true. A browser's worker cannot draw them. */
  readonly pictures?: boolean | undefined;
  /** Images at once while testing; default 128. */
  readonly batchSize?: number | undefined;
  /** Ends the work with its reason; report.html is then not written. */
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done: "testing, 40 %". */
  readonly onProgress?: ((what: string) => void) | undefined;
}

/**
 * Tests `model` on the test set, explains its mistakes, and writes `report.html` and `pictures/*.png` into the run's folder. The page is
 * self-contained: no script, no address. What a run lacks (a range test, a finished epoch) is left out of it.
 *
 * @returns the names of the files written, relative to the folder
 * @throws Error of one line where the model has fewer classes than the data, or a file cannot be written
 */
export async function writeReport(options: ReportOptions): Promise<string[]> {
  const { dir, onProgress } = options;
  const material = await gather(options);
  const sections = await makeSections(material, onProgress);
  const names = options.pictures === false ? [] : await savePictures(sections, options);
  await files.writeAtomic(`${dir}/report.html`, page(titleOf(material), subtitleOf(dir, material.run), sections));
  return ["report.html", ...names];
}

async function savePictures(
  sections: readonly Section[],
  { dir, onProgress, signal }: ReportOptions,
): Promise<string[]> {
  const figures = sections.flatMap((section) => section.figures);
  await files.makeDirectory(`${dir}/${PICTURES}`);
  const names: string[] = [];
  for (const [done, figure] of figures.entries()) {
    signal?.throwIfAborted();
    onProgress?.(`drawing, ${percent(done / figures.length, 0)}`);
    names.push(...(await saveFigure(`${dir}/${PICTURES}`, figure)).map((name) => `${PICTURES}/${name}`));
  }
  return names;
}

async function gather(options: ReportOptions): Promise<Material> {
  const { dir, model, data, weights = "at the end of the run", tta = "none", signal } = options;
  const run = await readRunFiles(dir);
  const result = await test(options);
  const { augment, seed } = inside(run.config, "settings");
  return {
    run,
    model,
    data,
    result,
    augment: typeof augment === "string" ? parseAugment(augment) : [],
    seed: typeof seed === "number" ? seed : 0,
    tta,
    weights,
    bestBy: data.validation ? "validation" : "test",
    check: () => signal?.throwIfAborted(),
  };
}

async function test({ model, data, tta, batchSize, signal, onProgress }: ReportOptions): Promise<ClassificationReport> {
  const batches = evaluateBatches(model, data.test, { batchSize, tta, logits: true });
  try {
    for (;;) {
      const { done, value } = await batches.next();
      if (done) {
        return classificationReport({ logits: value.logits!, labels: data.test.labels, classes: data.classes });
      }
      onProgress?.(`testing, ${percent(value / data.test.count, 0)}`);
      signal?.throwIfAborted();
    }
  } finally {
    await batches.return(undefined as never);
  }
}

async function makeSections(material: Material, onProgress: ReportOptions["onProgress"]): Promise<Section[]> {
  const { epochs } = material.run;
  const makers: (() => Section | Promise<Section>)[] = [
    () => summarySection(material, epochs.length > 0 ? verdictOf(material) : null),
    () => curvesSection(material),
    () => ratesSection(material),
    () => classesSection(material),
    () => mistakesSection(material),
    () => explainSection(material),
    () => dataSection(material),
    () => modelSection(material),
    () => setupSection(material),
  ];
  const sections: Section[] = [];
  for (const [done, make] of makers.entries()) {
    material.check();
    onProgress?.(`explaining, ${percent(done / makers.length, 0)}`);
    sections.push(await make());
  }
  return sections;
}

/** Measured against the images that the curves are of: the validation split where there is one. */
function verdictOf({ run: { epochs, steps, config }, data }: Material): Verdict {
  const { count, raw } = data.validation ?? data.test;
  const chance = count > 0 ? Math.max(...classCounts(raw, data.classes)) / count : 0;
  return verdict({ epochs, steps, images: count, chance, settings: inside(config, "settings") });
}

function titleOf({ run, data }: Material): string {
  const { name } = inside(run.config, "model");
  return `${typeof name === "string" ? name : "Model"} on ${data.name}`;
}

function subtitleOf(dir: string, { config }: RunFiles): string {
  const name = files
    .absolute(dir)
    .split(/[\\/]/)
    .findLast((part) => part !== "");
  const { started } = config;
  return [name, typeof started === "string" && `begun ${started.slice(0, 16).replace("T", " ")} UTC`]
    .filter(Boolean)
    .join(", ");
}
