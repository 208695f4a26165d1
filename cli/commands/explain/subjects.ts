// Which images are explained: files, or test images of a data set.
import { files } from "#files";
import type { Checkpoint, Classifier } from "../../../nn/index.ts";
import {
  subset,
  type DatasetInfo,
  type DecodedImage,
  type ImageSet,
  type RawDataset,
} from "../../../training/index.ts";
import { alignClasses } from "../evaluate/classes.ts";
import { checkpointData } from "../shared/checkpoint.ts";
import { UsageError } from "../shared/errors.ts";
import type { Output } from "../shared/output.ts";
import { readInput } from "../shared/paths.ts";
import type { ExplainFlags } from "./flags.ts";

/** What an image is called in maps.json, and its true class where that is known. */
export interface Subject {
  readonly index?: number;
  /** The test image's file below the data's folder, where it came from one. */
  readonly path?: string;
  readonly image?: string;
  readonly label?: number;
}

/** Images to explain, in the order asked for. */
export interface Subjects {
  readonly list: readonly Subject[];
  readonly set: ImageSet;
}

/** Where they come from: a data set of test images, or nothing but the files. */
export interface Source {
  readonly info: DatasetInfo;
  readonly test: ImageSet | null;
}

/** Files, decoded at the model's size. */
export async function fileSubjects(
  paths: readonly string[],
  fit: { size: number; mode: "crop" | "squash" },
): Promise<Subjects> {
  const { size } = fit;
  const bytes = size * size * 3;
  const images = new Uint8Array(paths.length * bytes);
  for (const [i, path] of paths.entries()) {
    const file = await readInput(path, "--image");
    let decoded: DecodedImage;
    try {
      decoded = await files.decodeImage(file, fit);
    } catch (cause) {
      throw new Error(`--image ${path}: it cannot be decoded (${(cause as Error).message})`, { cause });
    }
    images.set(decoded.data, i * bytes);
  }
  const set: ImageSet = {
    count: paths.length,
    height: size,
    width: size,
    channels: 3,
    images,
    labels: new Uint8Array(paths.length),
    skipped: 0,
  };
  return { list: paths.map((image) => ({ image })), set };
}

export function testSubjects(test: ImageSet, indices: readonly number[]): Subjects {
  const set = subset(test, Uint32Array.from(indices));
  const { labels, paths } = test;
  return { list: indices.map((index) => ({ index, label: labels[index], ...(paths && { path: paths[index] }) })), set };
}

/** The classes and the normalisation that go with the checkpoint, and the test images where such are asked for. */
export async function openSource(
  flags: ExplainFlags,
  checkpoint: Checkpoint,
  model: Classifier,
  output: Output,
): Promise<Source> {
  const { metadata } = checkpoint;
  if (flags.image) return { info: fileInfo(flags, checkpoint, model), test: null };
  const raw: RawDataset = alignClasses(
    await checkpointData(flags, checkpoint, model.stem, output),
    checkpoint,
    model.classes,
    output,
  );
  const missing = flags.index?.find((index) => index >= raw.test.count);
  if (missing !== undefined)
    throw new UsageError(`--index ${missing}: ${raw.name} has the test images 0 to ${raw.test.count - 1}`);
  const { mean, std } = raw;
  return { info: { classes: namesOf(metadata.classes ?? raw.classes, model), mean, std }, test: raw.test };
}

function fileInfo(flags: ExplainFlags, { metadata }: Checkpoint, model: Classifier): DatasetInfo {
  const { mean = metadata.mean, std = metadata.std } = flags;
  if (!mean || !std)
    throw new UsageError(
      `${flags.checkpoint} does not say how images are normalised: give --mean and --std, as in training`,
    );
  return { classes: namesOf(metadata.classes ?? [], model), mean, std } as unknown as DatasetInfo;
}

/** A name for each of the model's classes: its number where there is no other. */
const namesOf = (known: readonly string[], { classes }: Classifier): string[] =>
  Array.from({ length: classes }, (_, i) => known[i] ?? String(i));

/** The classes that `--class` means; undefined where it is not given. */
export function chosenClasses(flags: ExplainFlags, names: readonly string[]): readonly number[] | undefined {
  const { class: wanted } = flags;
  return wanted?.flatMap((text) => {
    const named = names.indexOf(text);
    if (named >= 0) return [named];
    if (text === "all") return names.map((_, i) => i);
    if (/^\d+$/.test(text) && Number(text) < names.length) return [Number(text)];
    const shown = names.length > 20 ? `${names.slice(0, 20).join(", ")}, ...` : names.join(", ");
    throw new UsageError(`--class ${text}: there is no such class; there are 0 to ${names.length - 1}: ${shown}`);
  });
}
