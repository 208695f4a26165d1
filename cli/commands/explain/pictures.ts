// The picture of an explained image: the image, a map for each class over it, and of a mistake the difference.
import { enlarge, montage, overlay, signedDifference, type ImageSet, type Picture } from "../../../training/index.ts";
import type { ExplainFlags } from "./flags.ts";
import type { Explained } from "./maps.ts";
import type { Subject } from "./subjects.ts";

/** Small images are shown about this large, in pixels. */
const SHOWN = 224;
const COLUMNS = 6;

/** Panels side by side: image, maps in the order of the classes, and where the default classes of a mistake are shown, their difference. */
export function explainedPicture(
  { subject, classes, prediction, maps }: Explained,
  set: ImageSet,
  place: number,
  flags: ExplainFlags,
): Picture {
  const { width, height } = set;
  const size = width * height * 3;
  const rgb = set.images.subarray(place * size, (place + 1) * size);
  const { colorMap, imageWeight } = flags;
  const panels = [rgb, ...maps.map((map) => overlay(rgb, map, { colorMap, imageWeight }))];
  const mistake = classes.length === 2 && classes[0] === prediction && classes[1] === subject.label;
  if (mistake) panels.push(signedDifference(rgb, maps[0], maps[1]));
  const factor = Math.max(1, Math.round(SHOWN / Math.max(width, height)));
  return montage(
    panels.map((data) => enlarge({ width, height, data }, factor)),
    { columns: COLUMNS },
  );
}

/** One file name for each, of the image's own name or number. */
export function pictureNames(subjects: readonly Subject[]): string[] {
  const used = new Map<string, number>();
  return subjects.map(({ index, image }) => {
    const stem = image === undefined ? `test-${index}` : `image-${plainName(image)}`;
    const before = used.get(stem.toLowerCase()) ?? 0;
    used.set(stem.toLowerCase(), before + 1);
    return before === 0 ? `${stem}.png` : `${stem}_${before + 1}.png`;
  });
}

const plainName = (path: string): string =>
  path
    .replace(/^.*[/\\]/, "")
    .replace(/\.[^.]*$/, "")
    .replace(/[^\w.-]+/g, "_");
