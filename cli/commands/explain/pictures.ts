// The picture of an explained image: the image, a map for each class over it, and of a mistake the difference.
import { pictures } from "#pictures";
import { overlay, signedDifference, type ImageSet } from "../../../training/index.ts";
import type { GalleryItem } from "../../../training/report/figures/gallery.ts";
import { percent } from "../shared/output.ts";
import type { ExplainFlags } from "./flags.ts";
import { isMistake, roleOf, type Explained } from "./maps.ts";
import type { Subject } from "./subjects.ts";

/** Small images are shown about this large, in pixels. */
const SHOWN = 224;
const COLUMNS = 6;
/** Pixels of a PNG for each of the drawing's, so that the letters are sharp. */
const SCALE = 2;

/**
 * A PNG of panels side by side, each with words below it: image, maps in the order of the classes, and where the default classes of a
 * mistake are shown, their difference.
 */
export async function explainedPicture(
  explained: Explained,
  names: readonly string[],
  set: ImageSet,
  place: number,
  flags: ExplainFlags,
): Promise<Uint8Array> {
  // Drawing loads the chart library, which takes a moment: refusals come first.
  const { plainColors } = await import("../../../training/report/figure.ts");
  const { gallery } = await import("../../../training/report/figures/gallery.ts");
  const { width, height } = set;
  const longer = Math.max(width, height);
  const size = (Math.max(1, Math.round(SHOWN / longer)) * longer) / SCALE;
  const items = panels(explained, names, set, place, flags);
  const columns = Math.min(items.length, COLUMNS);
  const { svg } = await gallery(items, { name: "explained", title: titleOf(explained.subject), columns, size });
  return pictures.svgToPng(plainColors(svg), { scale: SCALE });
}

function panels(
  explained: Explained,
  names: readonly string[],
  { width, height, images }: ImageSet,
  place: number,
  { colorMap, imageWeight }: ExplainFlags,
): GalleryItem[] {
  const { subject, classes, prediction, maps, probabilities, layers } = explained;
  const size = width * height * 3;
  const rgb = images.subarray(place * size, (place + 1) * size);
  const panel = (data: Uint8Array, ...lines: string[]): GalleryItem => ({
    picture: { width, height, data },
    caption: lines.filter((line) => line !== "").join("\n"),
  });
  const truth = subject.label === undefined ? "" : `is ${names[subject.label]}`;
  const items = [panel(rgb, titleOf(subject), truth, `at ${layers.join(", ")}`)];
  for (const [k, label] of classes.entries()) {
    const heat = overlay(rgb, maps[k], { colorMap, imageWeight });
    const item = panel(heat, names[label], percent(probabilities[label]), roleOf(explained, label));
    const wrong = label === prediction && subject.label !== undefined && label !== subject.label;
    items.push({ ...item, ...(wrong ? { tone: "bad" } : label === subject.label && { tone: "good" }) });
  }
  if (isMistake(explained))
    items.push(panel(signedDifference(rgb, maps[0], maps[1]), "difference", "red: predicted", "blue: true"));
  return items;
}

/** Letters of a file's name below its image; of longer ones the end, by which files differ. */
const MOST_LETTERS = 14;

function titleOf({ index, path, image }: Subject): string {
  const file = (image ?? path)?.replace(/^.*[/\\]/, "");
  const short = file && file.length > MOST_LETTERS ? `…${file.slice(1 - MOST_LETTERS)}` : file;
  return [index !== undefined && `#${index}`, short].filter(Boolean).join(" ");
}

/** One file name for each, of the image's own name or number. */
export function pictureNames(subjects: readonly Subject[]): string[] {
  const used = new Set<string>();
  return subjects.map(({ index, path, image }) => {
    const file = path === undefined ? "" : `-${plainName(path)}`;
    const stem = image === undefined ? `test-${index}${file}` : `image-${plainName(image)}`;
    let name = `${stem}.png`;
    // Some file systems do not tell upper from lower case.
    for (let n = 2; used.has(name.toLowerCase()); n++) name = `${stem}_${n}.png`;
    used.add(name.toLowerCase());
    return name;
  });
}

/** Of a folder's files, the pictures of an earlier command: maps.json, which is written anew, does not list them. */
export const earlierPictures = (names: readonly string[], pictures: readonly string[]): string[] =>
  names.filter((name) => /^(test-\d|image-).*\.png$/.test(name) && !pictures.includes(name));

const plainName = (path: string): string =>
  path
    .replace(/^.*[/\\]/, "")
    .replace(/\.[^.]*$/, "")
    .replace(/[^\w.-]+/g, "_");
