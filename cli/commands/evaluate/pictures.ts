// The pictures of an evaluation.
import { rawImage, type ClassificationReport, type ImageSet } from "../../../training/index.ts";
import { saveFigure } from "../../../training/report/figure.ts";
import { classBars, confusionMatrix, reliability } from "../../../training/report/figures/classes.ts";
import { gallery } from "../../../training/report/figures/gallery.ts";
import { percent } from "../shared/output.ts";

const SHOWN_MISTAKES = 25;

/** Writes them as PNG into a folder that exists; returns their names. */
export async function savePictures(
  dir: string,
  report: ClassificationReport,
  test: ImageSet,
  classes: readonly string[],
): Promise<string[]> {
  const figures = [
    classBars(report),
    confusionMatrix(report, { normalised: false }),
    confusionMatrix(report, { normalised: true }),
    reliability(report),
  ];
  const name = (index: number): string => classes[index] ?? `output ${index}`;
  const items = report.mistakes.slice(0, SHOWN_MISTAKES).map(({ index, label, prediction, confidence }) => ({
    picture: rawImage(test, index),
    caption: `${name(prediction)} ${percent(confidence)}\nis ${name(label)} (#${index})`,
  }));
  const title = "The most confident mistakes: prediction, confidence, truth";
  if (items.length > 0) figures.push(await gallery(items, { name: "misclassified", title, columns: 5, size: 112 }));
  const names: string[] = [];
  for (const figure of figures) names.push(...(await saveFigure(dir, figure)));
  return names;
}
