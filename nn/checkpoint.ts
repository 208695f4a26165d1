// Weights as files: safetensors with what is needed to use them in the metadata.
import type { Module } from "./module.ts";
import { createModel, modelNames, STEMS, type Classifier, type Stem } from "./models/index.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { loadStateDict, stateDict, type StateDict } from "./state-dict.ts";
import { aliasesOf } from "./state-names.ts";

/** What `kiln.model` says. */
export interface ModelInfo {
  /** A name that `createModel` knows. */
  name: string;
  stem: Stem;
  /** Number of classes. */
  classes: number;
  /** Height and width of the images that it was trained on, in pixels. */
  imageSize: number;
}

/** The metadata of a weights file. A file from elsewhere has none of it. */
export interface CheckpointMetadata {
  model?: ModelInfo;
  /** Names of the classes. */
  classes?: string[];
  /** What was subtracted from each channel of an image with values in 0..1. */
  mean?: number[];
  /** What each channel was then divided by. */
  std?: number[];
  /** The share of the images that trained, where a folder without a test part was split. */
  split?: number;
}

export interface ExportInfo extends ModelInfo {
  classNames?: readonly string[];
  mean?: readonly number[];
  std?: readonly number[];
  split?: number;
}

export interface Checkpoint {
  tensors: StateDict;
  metadata: CheckpointMetadata;
}

/** A model's weights as the bytes of a safetensors file. Equal weights and equal information give equal bytes. */
export async function exportWeights(model: Module, info: ExportInfo): Promise<Uint8Array<ArrayBuffer>> {
  const { name, stem, classes, imageSize, classNames, mean, std, split } = info;
  return writeSafetensors(await stateDict(model), {
    "kiln.model": JSON.stringify({ name, stem, classes, imageSize }),
    ...(classNames ? { "kiln.classes": JSON.stringify(classNames) } : {}),
    ...(mean ? { "kiln.mean": JSON.stringify(mean) } : {}),
    ...(std ? { "kiln.std": JSON.stringify(std) } : {}),
    ...(split === undefined ? {} : { "kiln.split": JSON.stringify(split) }),
  });
}

/**
 * Reads a weights file.
 *
 * @param origin the file's name, for messages
 * @throws Error of one line where the file is cut, malformed, or its metadata makes no sense
 */
export function readCheckpoint(bytes: Uint8Array, origin: string): Checkpoint {
  const { tensors, metadata } = readSafetensors(bytes, origin);
  return { tensors, metadata: readCheckpointMetadata(metadata, origin) };
}

/** Reads the `kiln.*` entries; others are ignored. */
export function readCheckpointMetadata(metadata: Readonly<Record<string, string>>, origin: string): CheckpointMetadata {
  const result: CheckpointMetadata = {};
  const read = <T>(key: string, what: string, valid: (value: unknown) => value is T): T | undefined => {
    if (!Object.hasOwn(metadata, key)) return undefined;
    const value = parseJson(metadata[key]);
    if (!valid(value)) throw new Error(`${origin}: its metadata entry ${key} is not ${what}`);
    return value;
  };
  const model = read("kiln.model", "a model's name, stem, classes and imageSize in JSON", isModelInfo);
  const classes = read("kiln.classes", "a JSON list of names", isNames);
  const mean = read("kiln.mean", "a JSON list of three numbers", isThreeOf(Number.isFinite));
  const std = read(
    "kiln.std",
    "a JSON list of three numbers above 0",
    isThreeOf((value) => value > 0),
  );
  const split = read("kiln.split", "a number between 0 and 1", isShare);
  if (model) result.model = model;
  if (classes) result.classes = classes;
  if (mean) result.mean = mean;
  if (std) result.std = std;
  if (split !== undefined) result.split = split;
  if (model && classes && classes.length !== model.classes) {
    throw new Error(`${origin}: its metadata names ${classes.length} classes for a model of ${model.classes}`);
  }
  return result;
}

/**
 * Builds the model of a checkpoint, with its weights. `overrides` count where the file says nothing; without them the number of
 * classes and the stem are read off the shapes.
 *
 * @throws Error where the file doesn't name its model and `overrides` neither
 */
export function modelFromCheckpoint(
  { tensors, metadata }: Checkpoint,
  origin: string,
  overrides: { name?: string; stem?: Stem; classes?: number } = {},
): Classifier {
  const name = metadata.model?.name ?? overrides.name;
  if (name === undefined) {
    throw new Error(`${origin} doesn't say which model it is: name it (${modelNames.join(", ")})`);
  }
  const classes = metadata.model?.classes ?? overrides.classes ?? shapeIn(tensors, "fc.weight")?.[0];
  const stem = metadata.model?.stem ?? overrides.stem ?? stemOf({ tensors, metadata });
  const model = createModel(name, { stem, ...(classes === undefined ? {} : { classes }) });
  loadStateDict(model, tensors, { origin });
  return model;
}

/** The stem that the file names, else the one that its first convolution has. */
export const stemOf = ({ tensors, metadata }: Checkpoint): Stem =>
  metadata.model?.stem ?? (shapeIn(tensors, "conv1.weight")?.[2] === 7 ? "imagenet" : "cifar");

/** The shape of the tensor that a file may name otherwise. */
function shapeIn(tensors: StateDict, name: string): readonly number[] | undefined {
  const found = [...tensors].find(([key]) => aliasesOf(key).includes(name));
  return found?.[1].shape;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isModelInfo(value: unknown): value is ModelInfo {
  if (typeof value !== "object" || value === null) return false;
  const { name, stem, classes, imageSize } = value as Record<string, unknown>;
  return typeof name === "string" && STEMS.includes(stem as Stem) && isCount(classes) && isCount(imageSize);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

const isShare = (value: unknown): value is number => typeof value === "number" && value > 0 && value < 1;

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");

/** One number a channel. */
const isThreeOf =
  (valid: (value: number) => boolean) =>
  (value: unknown): value is number[] =>
    Array.isArray(value) && value.length === 3 && value.every((item) => typeof item === "number" && valid(item));
