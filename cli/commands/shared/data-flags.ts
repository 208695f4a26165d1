// Flags that name and shape the data, and loading it with visible progress.
import path from "node:path";
import type { Command, Option } from "commander";
import type { LoadOptions, LoadProgress, RawDataset } from "../../../training/index.ts";
import { loadRaw } from "../../../training/index.ts";
import { findCifar } from "../../../training/data/cifar.ts";
import { LoadOptionError } from "../../../training/data/dataset.ts";
import { isDownloadable } from "../../../training/data/download.ts";
import { UsageError } from "./errors.ts";
import {
  above0To1,
  anyText,
  between0And1,
  flag,
  from0Below1,
  from0To1,
  oneOf,
  threeNumbers,
  toggle,
  wholeFrom,
} from "./flags.ts";
import { counted, grouped, type Output } from "./output.ts";
import { PlainProgress } from "./progress.ts";

/**
 * Splits and the `shapes` set are drawn by this seed in every command, whatever `--seed` says: a checkpoint is then always tested on
 * images that it was not trained on.
 */
const DATA_SEED = 0;

/** What `--data` is where nothing else is said. */
export const BUILT_IN = "shapes";
/** Whether `--data` says where images lie: all else are data sets by name, whose images are 32 x 32. */
export const isFolder = (data: string): boolean => data !== BUILT_IN && !isDownloadable(data);
/** `--data` for config.json: a folder from the root, so that the run can be continued from anywhere. */
export const locate = (data: string): string => (isFolder(data) ? path.resolve(data) : data);
export const RESIZES = ["crop", "squash"] as const;

export interface DataFlags {
  readonly data: string;
  readonly resize: (typeof RESIZES)[number];
  readonly split?: number;
  readonly strict: boolean;
  readonly limitTest?: number;
  readonly mean?: readonly [number, number, number];
  readonly std?: readonly [number, number, number];
}

/** As typed, where what is not typed is the run's whose checkpoint is used. */
export type TypedDataFlags = Omit<DataFlags, "data" | "resize"> & Partial<Pick<DataFlags, "data" | "resize">>;

/** What `--help` says of a default that is known later. */
interface Later {
  readonly text: string;
}

const dataFlag = (byDefault: string | Later): Option =>
  flag(
    "--data <what>",
    "shapes (built in), cifar10 or cifar100 (downloaded once), or a folder: CIFAR's binary files, " +
      "train/<class>/*.jpg with test/<class>/*.jpg, or <class>/*.jpg",
    anyText,
    byDefault,
  );

interface DataDefaults {
  readonly data: string | Later;
  readonly resize: DataFlags["resize"] | Later;
  readonly split: Later;
  /** With weights at hand all images may test. */
  readonly allTest: boolean;
}

/** Where there is no checkpoint. */
const ANEW: DataDefaults = { data: BUILT_IN, resize: "crop", split: { text: "none" }, allTest: false };

/** Where there is: see `asTrained`. */
export const AS_TRAINED: DataDefaults = {
  data: { text: `what the run in the checkpoint's folder was trained on, else ${BUILT_IN}` },
  resize: { text: "as in that run, else crop" },
  split: { text: "what the checkpoint says" },
  allTest: true,
};

/** The flags about data that `train` and `evaluate` share. */
export function addDataFlags(command: Command, { data, resize, split, allTest }: DataDefaults = ANEW): Command {
  const share = "share that trains of a folder without test/, the rest tests";
  return command
    .addOption(dataFlag(data))
    .addOption(flag("--resize <how>", "fit images by crop or squash", oneOf(...RESIZES), resize))
    .addOption(
      flag("--split <fraction>", allTest ? `${share}; 0: all` : share, allTest ? from0Below1 : between0And1, split),
    )
    .addOption(toggle("--strict", "refuse images that cannot be decoded instead of leaving them out"))
    .addOption(flag("--limit-test <n>", "test on the first n images only", wholeFrom(1), { text: "all" }));
}

/** `--mean` and `--std`. */
export function addNormalisationFlags(command: Command, text: string): Command {
  return command
    .addOption(
      flag("--mean <r,g,b>", "subtracted from pixels in 0..1", threeNumbers(from0To1, "0.49,0.48,0.45"), { text }),
    )
    .addOption(flag("--std <r,g,b>", "what they are divided by", threeNumbers(above0To1, "0.25,0.24,0.26"), { text }));
}

/** Loads data into memory, saying on standard error what takes long and what was left out. */
export async function loadCommandData(
  flags: DataFlags,
  output: Output,
  more: Pick<LoadOptions, "imageSize" | "validation" | "limit" | "fallbackSplit" | "trained">,
): Promise<RawDataset> {
  const { data, resize, split, strict, limitTest, mean, std } = flags;
  const progress = new PlainProgress(output);
  try {
    return await loadRaw(data, {
      resize,
      strict,
      split,
      limitTest,
      mean,
      std,
      ...more,
      seed: DATA_SEED,
      onProgress: (report) => progress.update(describeProgress(data, report)),
      onWarning: (message) => output.warn(message),
    });
  } catch (error) {
    throw error instanceof LoadOptionError ? new UsageError(error.message, { cause: error }) : error;
  }
}

/** Whether the data comes at one size, 32 x 32, so that the model's wishes do not count. */
export async function sizeIsFixed(data: string): Promise<boolean> {
  return !isFolder(data) || (await isCifarFolder(data));
}

const isCifarFolder = async (path: string): Promise<boolean> => {
  try {
    return (await findCifar(path)) !== undefined;
  } catch {
    return false;
  }
};

function describeProgress(data: string, { phase, done, total }: LoadProgress): string {
  if (phase === "decode") return `decoding images: ${grouped(done)} of ${grouped(total)}`;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return `downloading ${data}: ${megabytes(done)}${total > 0 ? ` of ${megabytes(total)}` : ""} MB`;
}

/** What weights are tested on. */
export function describeTested({ name, test, split }: RawDataset): string {
  const size = `${test.width} x ${test.height}`;
  const part = split ? `: what --split ${split} leaves of each class (--split 0 tests all)` : "";
  return `${name}: ${counted(test.count, "test image")}, ${size}${part}`;
}

export function describeData({ name, classes, train, test, validation }: RawDataset): string {
  const held = validation ? `${grouped(validation.count)} validation, ` : "";
  const size = `${train.width} x ${train.height}`;
  const kinds = classes.length === 1 ? "1 class" : `${classes.length} classes`;
  return `${name}: ${grouped(train.count)} training, ${held}${counted(test.count, "test image")}, ${kinds}, ${size}`;
}
