// What explain.js says: lines for people, maps.json for programs.
import type { ImageSet } from "../../../training/index.ts";
import { percent } from "../shared/output.ts";
import { isMistake, roleOf, type Explained } from "./maps.ts";
import type { Subject } from "./subjects.ts";

const SHOWN_CLASSES = 5;

/** The name of an image, and its most probable classes. */
export function resultLines(explained: Explained, names: readonly string[], picture: string): string[] {
  const { image, index, path, label } = explained.subject;
  const title = image ?? `test image ${index}${path === undefined ? "" : ` (${path})`}`;
  const best = topClasses(explained.probabilities);
  const width = Math.max(...best.map(({ label }) => names[label].length));
  return [
    `${title}${label === undefined ? "" : `, truly ${names[label]}`}`,
    ...best.map(({ label, probability }) => `  ${names[label].padEnd(width)}  ${percent(probability).padStart(8)}`),
    `  ${picture}: the image, ${panelWords(explained, names).join(", ")}`,
  ];
}

const MOST_PANELS = 6;

/** What the panels after the image show; of many classes only how many, since the picture names them. */
function panelWords(explained: Explained, names: readonly string[]): string[] {
  const { classes } = explained;
  if (classes.length > MOST_PANELS) return [`maps of ${classes.length} classes`];
  const maps = classes.map((label) => {
    const role = roleOf(explained, label);
    return names[label] + (role && ` (${role})`);
  });
  return isMistake(explained) ? [...maps, "their difference"] : maps;
}

const topClasses = (probabilities: readonly number[]): { label: number; probability: number }[] =>
  probabilities
    .map((probability, label) => ({ label, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, SHOWN_CLASSES);

/** The images with their predictions: in maps.json and, with `--json`, on standard output. */
export const describeImages = (
  explained: readonly Explained[],
  names: readonly string[],
  pictures: readonly string[],
): unknown[] =>
  explained.map(({ subject, prediction, probabilities }, i) => ({
    ...nameOf(subject),
    ...(subject.label !== undefined && { truth: names[subject.label] }),
    prediction: names[prediction],
    top: topClasses(probabilities).map(({ label, probability }) => ({ class: names[label], probability })),
    picture: pictures[i],
  }));

/** maps.json in parts, a map each: a thousand maps of larger images are more than a string holds. */
export function* mapsDocument(
  explained: readonly Explained[],
  names: readonly string[],
  method: string,
  set: ImageSet,
  rest: object,
): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  yield encoder.encode('{"maps":[');
  let separator = "";
  for (const map of describeMaps(explained, names, method, set)) {
    yield encoder.encode(separator + JSON.stringify(map));
    separator = ",";
  }
  yield encoder.encode(`],${JSON.stringify(rest).slice(1)}\n`);
}

/** `maps` of maps.json: `map` in rows at the image's size, 0..1. */
function* describeMaps(
  explained: readonly Explained[],
  names: readonly string[],
  method: string,
  { width, height }: ImageSet,
): Generator<object> {
  for (const { subject, classes, layers, maps } of explained) {
    for (const [k, label] of classes.entries()) {
      yield {
        ...nameOf(subject),
        layer: layers.join(","),
        class: names[label],
        method,
        // Nine digits are enough to tell every f32 from its neighbours.
        map: Array.from({ length: height }, (_, y) =>
          Array.from(maps[k].subarray(y * width, (y + 1) * width), (value) => Number(value.toPrecision(9))),
        ),
      };
    }
  }
}

const nameOf = ({ index, path, image }: Subject): { index: number; path?: string } | { image: string } =>
  image === undefined ? { index: index!, ...(path !== undefined && { path }) } : { image };
