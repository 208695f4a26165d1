// One image, seen at several depths and for several classes.
import { gradCam } from "../../explain/cam.ts";
import { spatialLayers } from "../../explain/default-layer.ts";
import { overlay } from "../../explain/overlay.ts";
import { rawImage } from "../../data/looks.ts";
import type { DecodedImage } from "../../files.ts";
import type { Figure } from "../figure.ts";
import { gallery } from "../figures/gallery.ts";
import { className } from "../format.ts";
import { html } from "../html.ts";
import type { Material } from "../material.ts";
import { show, type Section } from "../section.ts";
import { fitted } from "../small-picture.ts";

const MOST_CLASSES = 10;
const MOST_LAYERS = 8;

export async function explainSection(material: Material): Promise<Section> {
  const { data, check } = material;
  if (stages(material).length === 0) {
    return { id: "explain", title: "Where the model looks", body: html`<p>${NO_MAPS}</p>`, figures: [] };
  }
  const index = chooseImage(material);
  const truth = className(data.classes, data.test.labels[index]);
  const layers = await layerFigure(material, index);
  check();
  const classes = await classFigure(material, index);
  const body = html`<p>
      Test image ${index} (${truth}). Grad-CAM shows which places speak for a class: red much, blue little. Deeper
      layers see coarser and mean more.
    </p>
    ${show(layers)} ${show(classes)}`;
  return { id: "explain", title: "Where the model looks", body, figures: [layers, classes] };
}

/** The first test image that is recognised; where none is, the first. */
function chooseImage({ result, data }: Material): number {
  const wrong = new Set(result.mistakes.map(({ index }) => index));
  for (let index = 0; index < data.test.count; index++) if (!wrong.has(index)) return index;
  return 0;
}

/** Why there are no maps, where there are none. */
export const NO_MAPS = "The model has no layer with places: there are no maps of where it looks.";

/** The model's stages with places, the last ones; where it has none its own layers with places; none where its shapes are not known. */
export function stages({ model, data: { test } }: Material): string[] {
  const layers = placesOf(model, [test.height, test.width]);
  const parts = layers.filter((name) => !name.includes(".") && model.module(name).namedChildren().length > 0);
  return (parts.length > 0 ? parts : layers.filter((name) => !name.includes("."))).slice(-MOST_LAYERS);
}

function placesOf(model: Material["model"], size: readonly [number, number]): string[] {
  try {
    return spatialLayers(model, size).map(({ name }) => name);
  } catch {
    return [];
  }
}

async function layerFigure(material: Material, index: number): Promise<Figure> {
  const { model, data } = material;
  const image = rawImage(data.test.raw, index);
  const items = [{ picture: fitted(image), caption: "the image" }];
  for (const layer of stages(material)) {
    const maps = await mapsOf(material, index, (images) => gradCam(model, images, { layer }));
    items.push({ picture: heat(image, maps.map(0, 0)), caption: layer });
  }
  const title = "For the predicted class, at several layers";
  return gallery(items, { name: "cam-layers", title, columns: Math.min(items.length, 6), size: 92 });
}

async function classFigure(material: Material, index: number): Promise<Figure> {
  const { model, data } = material;
  const image = rawImage(data.test.raw, index);
  // Of many classes those that the model thinks likeliest.
  const first = await mapsOf(material, index, (images) => gradCam(model, images));
  const logits = [...first.logits[0]];
  const ranked = logits.map((_, label) => label).sort((a, b) => logits[b] - logits[a]);
  const classes = ranked.slice(0, MOST_CLASSES).sort((a, b) => (logits.length > MOST_CLASSES ? 0 : a - b));
  const maps = await mapsOf(material, index, (images) => gradCam(model, images, { classes }));
  const items = [
    { picture: fitted(image), caption: "the image" },
    ...classes.map((label, k) => ({
      picture: heat(image, maps.map(0, k)),
      caption: className(data.classes, label),
      ...(label === ranked[0] && { tone: "good" as const }),
    })),
  ];
  const what = logits.length > MOST_CLASSES ? `the ${MOST_CLASSES} likeliest classes` : "every class";
  const title = `The same image for ${what}, at ${maps.layers.join(", ")}`;
  return gallery(items, { name: "cam-classes", title, columns: 6, size: 96 });
}

const heat = (image: DecodedImage, map: Float32Array): DecodedImage =>
  fitted({ ...image, data: overlay(image.data, map) });

async function mapsOf<T>(
  { data }: Material,
  index: number,
  work: (images: ReturnType<Material["data"]["test"]["images"]>) => Promise<T>,
): Promise<T> {
  const images = data.test.images([index]);
  try {
    return await work(images);
  } finally {
    images.dispose();
  }
}
