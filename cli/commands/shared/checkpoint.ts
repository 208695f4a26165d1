// The model of `--checkpoint`, and data as that model was trained on.
import { basename, dirname, join } from "node:path";
import { files } from "#files";
import { modelFromCheckpoint, stemImageSize, type Checkpoint, type Classifier, type Stem } from "../../../nn/index.ts";
import type { RawDataset } from "../../../training/index.ts";
import { SHAPE_CLASSES } from "../../../training/data/shapes.ts";
import { inside, readRunConfig } from "../../../training/report/run-files.ts";
import {
  BUILT_IN,
  isFolder,
  loadCommandData,
  RESIZES,
  sizeIsFixed,
  type DataFlags,
  type TypedDataFlags,
} from "./data-flags.ts";
import { UsageError } from "./errors.ts";
import type { Output } from "./output.ts";

/** What may be said about a checkpoint that does not say it itself. */
export interface CheckpointFlags {
  readonly checkpoint: string;
  readonly model?: string;
  readonly stem?: Stem;
  readonly classes?: number;
  readonly imageSize?: number;
}

/** @throws where a flag is typed that differs from what a file of weights says */
export function refuseOther(path: string, flag: string, typed?: string | number, inFile?: string | number): void {
  if (typed === undefined || inFile === undefined || typed === inFile) return;
  throw new UsageError(`--${flag} ${typed} is not what ${path} says (${inFile}): leave it out`);
}

/** @throws where a file that does not say which model it is holds what `--resume` reads */
export function refuseState(path: string, { metadata }: Checkpoint): void {
  if (metadata.model || basename(path) !== "state.safetensors") return;
  const weights = join(dirname(path), "best.safetensors");
  throw new UsageError(`${path} is the state for --resume: the weights are ${weights} beside it`);
}

/** The model with its weights. What is typed must not differ from what the file says. */
export function checkpointModel(flags: CheckpointFlags, checkpoint: Checkpoint): Classifier {
  const { checkpoint: path, model, stem, classes } = flags;
  const said = checkpoint.metadata.model;
  refuseOther(path, "model", model, said?.name);
  refuseOther(path, "stem", stem, said?.stem);
  refuseOther(path, "classes", classes, said?.classes);
  refuseState(path, checkpoint);
  if (!said && model === undefined)
    throw new UsageError(`${path} does not say which model it is: name it with --model`);
  return modelFromCheckpoint(checkpoint, path, {
    ...(model && { name: model }),
    ...(stem && { stem }),
    ...(classes && { classes }),
  });
}

/** Height and width of the model's images, in pixels. */
export const checkpointImageSize = ({ imageSize }: CheckpointFlags, { metadata }: Checkpoint, stem: Stem): number =>
  imageSize ?? metadata.model?.imageSize ?? stemImageSize(stem);

/**
 * The flags with data and its cut to size as the model was trained, where they are not typed and the run's config.json lies beside the
 * checkpoint.
 *
 * @param needed false: the data will not be read, wherever it is
 * @throws where it is needed and has moved, or nothing says which it is
 */
export async function asTrained<F extends CheckpointFlags & TypedDataFlags>(
  flags: F,
  { metadata }: Checkpoint,
  needed = true,
): Promise<F & DataFlags> {
  const run = inside(await readRunConfig(files.absolute(dirname(flags.checkpoint))), "settings");
  const trained = typeof run["data"] === "string" ? run["data"] : null;
  const { data = trained ?? BUILT_IN } = flags;
  if (needed && flags.data === undefined) {
    if (trained === null) refuseBuiltIn(flags.checkpoint, metadata.classes);
    if (isFolder(data) && !(await files.exists(data)))
      throw new UsageError(
        `${flags.checkpoint} was trained on ${data}, which is not there: name its place with --data`,
      );
  }
  const cut = (await sizeIsFixed(data)) ? undefined : RESIZES.find((how) => how === run["resize"]);
  return { ...flags, data, resize: flags.resize ?? cut ?? "crop" };
}

/** @throws where the checkpoint's classes are not those of the built-in images */
function refuseBuiltIn(path: string, classes: readonly string[] = SHAPE_CLASSES): void {
  if (classes.join() === SHAPE_CLASSES.join()) return;
  const some = `${classes.slice(0, 3).join(", ")}${classes.length > 3 ? ", ..." : ""}`;
  throw new UsageError(
    `${path} tells ${some} apart, and no config.json beside it says where their images are: name the data with --data`,
  );
}

/** The data, normalised and, where that is needed, split as the checkpoint says. */
export async function checkpointData(
  flags: CheckpointFlags & DataFlags,
  checkpoint: Checkpoint,
  stem: Stem,
  output: Output,
): Promise<RawDataset> {
  const { metadata } = checkpoint;
  const [typed, trained] = [flags.split, metadata.split];
  if (typed !== undefined && trained !== undefined && typed !== trained) {
    output.warn(
      `the model was trained with --split ${trained}: with ${typed} it may have seen some of the test images`,
    );
  }
  const wanted = checkpointImageSize(flags, checkpoint, stem);
  const imageSize = (await sizeIsFixed(flags.data)) ? flags.imageSize : wanted;
  const { mean = metadata.mean, std = metadata.std } = flags;
  const normalisation = mean && std ? { mean: mean as DataFlags["mean"], std: std as DataFlags["std"] } : {};
  // Training images are needed for their mean and deviation alone.
  const limit = mean && std ? 1 : undefined;
  return loadCommandData({ ...flags, ...normalisation } as DataFlags, output, {
    imageSize,
    limit,
    fallbackSplit: trained,
    trained: true,
  });
}
