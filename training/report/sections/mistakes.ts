// What was misclassified, and where the model looked when it was.
import { gradCam, type CamMaps } from "../../explain/cam.ts";
import { overlay, signedDifference } from "../../explain/overlay.ts";
import type { Mistake } from "../../classification-report.ts";
import { rawImage } from "../../data/looks.ts";
import type { DecodedImage } from "../../files.ts";
import type { Figure } from "../figure.ts";
import { gallery, type GalleryItem } from "../figures/gallery.ts";
import { className, grouped, percent, plural } from "../format.ts";
import { details, html, table, type Html } from "../html.ts";
import type { Material } from "../material.ts";
import { show, type Section } from "../section.ts";

import { fitted } from "../small-picture.ts";
import { NO_MAPS, stages } from "./explain.ts";

const SHOWN = 25;

export async function mistakesSection(material: Material): Promise<Section> {
  const { result, data, check } = material;
  const shown = result.mistakes.slice(0, SHOWN);
  const count = html`<p class="strong">
    ${plural(result.misclassified, "misclassified image")} of ${grouped(result.count)} (${percent(1 - result.accuracy)})
  </p>`;
  if (shown.length === 0) return { id: "mistakes", title: "Mistakes", body: count, figures: [] };
  const plain = await mistakeGrid(material, shown);
  check();
  const { body: mapped, figures } =
    stages(material).length > 0 ? await explained(material, shown) : { body: html`<p>${NO_MAPS}</p>`, figures: [] };
  const which =
    shown.length === result.misclassified ? "These are all of them" : `These ${shown.length} the model was surest of`;
  const body = html`${count}
    <p>${which}: what it said and how sure it was, and what is true.</p>
    ${show(plain)} ${details("The same as a table", mistakeTable(shown, data))} ${mapped}`;
  return { id: "mistakes", title: "Mistakes", body, figures: [plain, ...figures] };
}

/** Maps of each mistake. */
async function explained(
  material: Material,
  shown: readonly Mistake[],
): Promise<{ readonly body: Html; readonly figures: readonly Figure[] }> {
  const maps = await mapsOf(material, shown);
  const figures: Figure[] = [];
  for (const [rank, mistake] of shown.entries()) {
    material.check();
    figures.push(await mistakeMaps(material, mistake, { rank, maps }));
  }
  const body = html`<h3>Grad-CAM of each</h3>
    <p>
      At ${maps.layers.join(", ")}. From the left: the image; what spoke for the predicted class; what spoke for the
      true class; the difference of both, red where the prediction has more, blue where the truth has.
    </p>
    <div class="grid small">${figures.map((figure) => show(figure))}</div>`;
  return { body, figures };
}

function mistakeGrid({ data: { test, classes } }: Material, shown: readonly Mistake[]): Promise<Figure> {
  const items = shown.map(({ index, label, prediction, confidence }) => ({
    picture: fitted(rawImage(test.raw, index)),
    caption: `${className(classes, prediction)} ${percent(confidence, 0)}\nis ${className(classes, label)}`,
  }));
  const title = "Misclassified test images: prediction with its confidence, below it the truth";
  return gallery(items, { name: "misclassified", title, columns: 5, size: 92 });
}

function mistakeTable(shown: readonly Mistake[], { test, classes }: Material["data"]): Html {
  const { paths } = test.raw;
  return table(
    "Misclassified test images",
    [
      { head: "Image", cell: ({ index }) => index },
      { head: "Predicted", cell: ({ prediction }) => className(classes, prediction), words: true },
      { head: "Confidence", cell: ({ confidence }) => percent(confidence, 1) },
      { head: "Is", cell: ({ label }) => className(classes, label), words: true },
      { head: "Its confidence", cell: ({ labelConfidence }) => percent(labelConfidence, 1) },
      ...(paths ? [{ head: "File", cell: ({ index }: Mistake) => paths[index], words: true }] : []),
    ],
    shown,
  );
}

/** Of the predicted and of the true class. */
async function mapsOf({ model, data }: Material, shown: readonly Mistake[]): Promise<CamMaps> {
  const images = data.test.images(shown.map(({ index }) => index));
  try {
    return await gradCam(model, images, { classes: shown.map(({ prediction, label }) => [prediction, label]) });
  } finally {
    images.dispose();
  }
}

async function mistakeMaps(
  { data: { test, classes } }: Material,
  { index, label, prediction, confidence, labelConfidence }: Mistake,
  { rank, maps }: { readonly rank: number; readonly maps: CamMaps },
): Promise<Figure> {
  const image = rawImage(test.raw, index);
  const [wrong, right] = [maps.map(rank, 0), maps.map(rank, 1)];
  const picture = (pixels: Uint8Array): DecodedImage => fitted({ ...image, data: pixels });
  const [said, truth] = [className(classes, prediction), className(classes, label)];
  const items: GalleryItem[] = [
    { picture: fitted(image), caption: `image ${index}` },
    {
      picture: picture(overlay(image.data, wrong)),
      caption: `${said}\n${percent(confidence, 1)}`,
      tone: "bad",
    },
    {
      picture: picture(overlay(image.data, right)),
      caption: `${truth}\n${percent(labelConfidence, 1)}`,
      tone: "good",
    },
    { picture: picture(signedDifference(image.data, wrong, right)), caption: "difference" },
  ];
  const name = `mistake-${String(rank + 1).padStart(2, "0")}`;
  return gallery(items, { name, title: `${rank + 1}. ${said}, is ${truth}`, columns: 4, size: 84 });
}
