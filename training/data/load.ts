import { files } from "#files";
import type { Fit } from "../files.ts";
import { findCifar, readCifar } from "./cifar.ts";
import { LoadOptionError, pixelStatistics, split } from "./dataset.ts";
import type { ImageSet, LoadProgress, RawDataset, Rgb } from "./dataset.ts";
import { downloadCifar, isDownloadable } from "./download.ts";
import { readImageFolder } from "./image-folder.ts";
import { listFolder } from "./list-folder.ts";
import { shapes } from "./shapes.ts";

export interface LoadOptions {
  /** Side in pixels that the images of a folder are brought to (default 32). CIFAR and `shapes` are 32 x 32 and nothing else. */
  readonly imageSize?: number | undefined;
  /** `crop` (default) scales the short side and cuts the centre, `squash` ignores the aspect ratio. */
  readonly resize?: Fit["mode"] | undefined;
  /** Fraction of an undivided image folder that trains, below 1; 0 where weights are there already, with `mean` and `std`: all test. */
  readonly split?: number | undefined;
  /** The same where `split` is not given: other data have no use for it. What a trained model says. */
  readonly fallbackSplit?: number | undefined;
  /** Weights are there already, so that where nothing can train all may test: what messages advise. */
  readonly trained?: boolean | undefined;
  /** Fraction of the training images held out for validation, between 0 and 1. */
  readonly validation?: number | undefined;
  /** Refuse images that cannot be decoded instead of skipping them. */
  readonly strict?: boolean | undefined;
  /** Keep the first so many training images; `validation` is taken out of them. */
  readonly limit?: number | undefined;
  readonly limitTest?: number | undefined;
  /** Draws the splits and `shapes` (default 0). Training and evaluation must use the same one. */
  readonly seed?: number | undefined;
  /** Per-channel mean and standard deviation in units of 0..1, instead of the data set's own. */
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
  /** Where downloads and decoded images are kept, instead of the system's cache folder. */
  readonly cache?: string | undefined;
  /** A mirror of the archives, instead of where they are published. */
  readonly baseUrl?: string | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

type Source = Omit<RawDataset, "mean" | "std"> & { readonly mean?: Rgb; readonly std?: Rgb };

/**
 * Loads `shapes`, `cifar10`, `cifar100`, or a folder: one with the CIFAR binary files or an image folder.
 * @throws with a message that names the file or option at fault and what to do about it: LoadOptionError where it is an option
 */
export async function loadRaw(spec: string, options: LoadOptions = {}): Promise<RawDataset> {
  checkOptions(options);
  const source = await open(spec, options);
  const { first: train, second: validation } = holdOut(source, options);
  if (train.count === 0 && !(options.mean && options.std)) {
    throw new LoadOptionError(
      "data: --split 0 leaves no training images to find their mean and deviation: give --mean and --std",
    );
  }
  const own = source.mean && source.std ? { mean: source.mean, std: source.std } : undefined;
  const statistics = options.mean && options.std ? undefined : (own ?? pixelStatistics(train));
  const mean = (options.mean ?? statistics?.mean) as Rgb;
  const std = (options.std ?? safeStd(statistics!.std)) as Rgb;
  const held = validation ?? source.validation;
  return {
    name: source.name,
    classes: source.classes,
    train,
    test: source.test,
    ...(held && { validation: held }),
    ...(source.split !== undefined && { split: source.split }),
    mean,
    std,
  };
}

function checkOptions(options: LoadOptions): void {
  whole("--image-size", options.imageSize, 1);
  whole("--limit", options.limit, 1);
  whole("--limit-test", options.limitTest, 1);
  whole("--seed", options.seed, 0);
  if (options.split !== 0) fraction("--split", options.split ?? options.fallbackSplit);
  fraction("--validation", options.validation);
  three("--mean", options.mean, (value) => value >= 0 && value <= 1, "between 0 and 1");
  three("--std", options.std, (value) => value > 0 && value <= 1, "above 0 and at most 1");
}

function whole(flag: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value < 2 ** 32)) return;
  throw new LoadOptionError(`${flag} ${value} is not a whole number of at least ${least}`);
}

function fraction(flag: string, value: number | undefined): void {
  if (value === undefined || (value > 0 && value < 1)) return;
  throw new LoadOptionError(`${flag} ${value} is not a fraction between 0 and 1, such as 0.9`);
}

function three(
  flag: string,
  values: readonly number[] | undefined,
  ok: (value: number) => boolean,
  range: string,
): void {
  if (values === undefined || (values.length === 3 && values.every(ok))) return;
  throw new LoadOptionError(`${flag} ${values.join(",")} is not three numbers ${range}, such as 0.49,0.48,0.45`);
}

async function open(spec: string, options: LoadOptions): Promise<Source> {
  if (spec === "shapes") return openShapes(options);
  if (isDownloadable(spec)) {
    const { baseUrl, cache, onProgress } = options;
    onlyFolders(spec, options);
    const folder = await downloadCifar(spec, {
      baseUrl,
      cache,
      onProgress: (done, total) => onProgress?.({ phase: "download", done, total }),
    });
    return openCifar(folder, folder, options);
  }
  return openFolder(spec, options);
}

function openShapes(options: LoadOptions): Source {
  onlyFolders("shapes", options);
  return { name: "shapes", ...shapes(options.seed ?? 0, { train: options.limit, test: options.limitTest }) };
}

/** CIFAR and `shapes` come at one size, with a test set. */
function onlyFolders(name: string, options: LoadOptions): void {
  const { imageSize, resize, split: fractionOfTraining } = options;
  if (imageSize !== undefined && imageSize !== 32) {
    throw new LoadOptionError(
      `data: the images of ${name} are 32 x 32, --image-size ${imageSize} is for image folders; leave it out`,
    );
  }
  if (resize !== undefined && resize !== "crop") {
    throw new LoadOptionError(
      `data: the images of ${name} need no --resize ${resize}, which is for image folders; leave it out`,
    );
  }
  if (fractionOfTraining !== undefined) {
    throw new LoadOptionError(`data: ${name} has a test set already, --split is for image folders; leave it out`);
  }
}

async function openCifar(folder: string, given: string, options: LoadOptions): Promise<Source> {
  const found = await findCifar(folder);
  if (!found) throw new Error(`data: ${folder} holds no CIFAR binary files; remove it and run again to download them`);
  onlyFolders(given, options);
  return readCifar(found, { limit: options.limit, limitTest: options.limitTest });
}

async function openFolder(spec: string, options: LoadOptions): Promise<Source> {
  const path = spec.length > 1 ? spec.replace(/[/\\]+$/, "") : spec;
  if (path === "" || !(await files.exists(path))) {
    throw new Error(
      `data: "${spec}" is not there; give shapes, cifar10, cifar100, or the path of a folder with images or CIFAR files`,
    );
  }
  if (!(await files.stat(path)).directory) {
    throw new Error(`data: ${path} is a file; give the folder that holds the images or the unpacked CIFAR files`);
  }
  const entries = await listFolder(path);
  if (entries.length === 0) {
    throw new Error(
      `data: ${path} is empty; it needs train/<class>/*.{png,jpg,...} and test/<class>/..., or the CIFAR binary files`,
    );
  }
  if (await findCifar(path)) return openCifar(path, path, options);
  if (entries.some((entry) => /^(data_batch_[1-5]|cifar-10-batches-py|cifar-100-python)$/.test(entry.name))) {
    throw new Error(
      `data: ${path} holds CIFAR for Python; get the "binary version" of it, or give --data cifar10 to download that`,
    );
  }
  const { imageSize = 32, resize = "crop", seed = 0 } = options;
  const name = files.absolute(path).split(/[/\\]/).pop() || "images";
  return { name, ...(await readImageFolder(path, { ...options, imageSize, resize, seed })) };
}

/** The training images less those held out for validation. */
function holdOut(source: Source, options: LoadOptions): { first: ImageSet; second?: ImageSet } {
  const { validation, seed = 0 } = options;
  if (validation === undefined) return { first: source.train };
  if (source.validation) {
    throw new LoadOptionError(
      `data: ${source.name} has a validation folder already; leave --validation out or remove that folder`,
    );
  }
  const parts = split(source.train, 1 - validation, seed);
  if (parts.second.count === 0) {
    throw new Error(
      `data: ${source.name} has one training image a class, nothing can be held out; leave --validation out`,
    );
  }
  return parts;
}

/** A channel that never varies has nothing to be scaled by: a deviation of one grey level keeps it finite. */
function safeStd(std: Rgb): Rgb {
  return std.map((value) => Math.max(value, 1 / 255)) as unknown as Rgb;
}
