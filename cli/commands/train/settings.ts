// From flags to settings: every default decided, every contradiction found before a device is opened.
import {
  BatchNorm2d,
  createModel,
  stemImageSize,
  stemOf,
  type Checkpoint,
  type ModelInfo,
  type Module,
  type Stem,
} from "../../../nn/index.ts";
import {
  chooseRecipe,
  defaultAugment,
  makeSchedule,
  parseAugment,
  type ImageSet,
  type RawDataset,
  type Recipe,
  type RunSettings,
} from "../../../training/index.ts";
import { preset } from "../../../training/presets/index.ts";
import { usesRate } from "../../../training/build-run.ts";
import { stepsPerEpoch } from "../../../training/step-count.ts";
import { planAugment } from "../../../training/data/augment-plan.ts";
import { refuseOther, refuseState } from "../shared/checkpoint.ts";
import { locate } from "../shared/data-flags.ts";
import { usage, UsageError } from "../shared/errors.ts";
import { stemModel } from "../shared/model-flags.ts";
import { grouped, type Output } from "../shared/output.ts";
import { RUN_FLAGS, type TrainFlags } from "./flags.ts";

/** The model that is asked for; its classes are known with the data. */
export interface ModelChoice {
  readonly model: string;
  readonly stem: Stem;
  readonly imageSize: number;
}

/** `settings` in config.json: the run's, and where its images came from. */
export type Settings = RunSettings &
  Omit<TrainFlags, keyof RunSettings | "json" | "debug" | "report" | "out" | "resume" | "config" | "adapter">;

/** Checks all that needs no data. */
export function checkFlags(flags: TrainFlags): void {
  const { momentum = 0.9, nesterov, optimizer, freeze, init, augment, lr } = flags;
  if (nesterov && optimizer !== "sgd") throw new UsageError(`--nesterov is for --optimizer sgd, not ${optimizer}`);
  if (nesterov && momentum === 0) throw new UsageError("--nesterov needs a --momentum above 0");
  if (freeze && init === undefined) {
    throw new UsageError("--freeze needs --init FILE: random weights that stay as they are teach nothing");
  }
  if ((flags.mean === undefined) !== (flags.std === undefined)) {
    throw new UsageError("--mean and --std go together: give both or neither");
  }
  const recipe = flags.preset === undefined ? null : preset(flags.preset);
  if (recipe?.hooks && flags.model !== recipe.settings["model"]) {
    const { model } = recipe.settings;
    throw new UsageError(`--preset ${recipe.name} is a recipe for ${String(model)} alone: leave --model out`);
  }
  if (augment !== undefined) usage(() => parseAugment(augment), "--augment");
  usage(() => makeSchedule(recipeOf(flags)), "--schedule");
  if (typeof lr === "string" && !usesRate(recipeOf(flags))) {
    throw new UsageError(
      `--lr ${lr} would change nothing: --schedule gives all rates itself; leave one of the two out`,
    );
  }
}

/** What is known of the model that `--init` names. */
export interface InitFile {
  readonly file: string;
  readonly info: ModelInfo | undefined;
  readonly stem: Stem;
}

export function describeInit(file: string, checkpoint: Checkpoint): InitFile {
  refuseState(file, checkpoint);
  return { file, info: checkpoint.metadata.model, stem: stemOf(checkpoint) };
}

export function chooseModel({ model, stem, imageSize }: TrainFlags, init: InitFile | null): ModelChoice {
  if (init && !init.info && model === undefined) {
    throw new UsageError(`${init.file} does not say which model it is: name it with --model`);
  }
  if (init) refuseOther(init.file, "model", model, init.info?.name);
  const chosenStem = stem ?? init?.stem ?? "cifar";
  const choice = {
    model: model ?? init?.info?.name ?? stemModel(chosenStem),
    stem: chosenStem,
    imageSize: imageSize ?? init?.info?.imageSize ?? stemImageSize(chosenStem),
  };
  usage(() => createModel(choice.model, { stem: choice.stem, classes: 1 }));
  return choice;
}

/** With `--lr auto` the rate is the default one until a better one is found. */
export const recipeOf = ({ lr, ...flags }: TrainFlags): Recipe =>
  chooseRecipe({ ...flags, lr: typeof lr === "number" ? lr : undefined });

export function resolve(flags: TrainFlags, choice: ModelChoice, data: RawDataset): Settings {
  checkImageSize(choice, data.train);
  usage(() => stepsPerEpoch(data.train.count, flags), "--drop-last");
  refuseLoneImage(flags, choice, data.train);
  const kept = Object.fromEntries(Object.entries(flags).filter(([key]) => !RUN_FLAGS.includes(key)));
  return {
    ...(kept as unknown as Omit<TrainFlags, "lr">),
    ...choice,
    ...recipeOf(flags),
    data: locate(flags.data),
    imageSize: data.train.height,
    classes: chooseClasses(flags, data),
    mean: data.mean,
    std: data.std,
    augment: chooseAugment(flags, data),
  };
}

/** Images that shrink to nothing inside the model are found here, before a device is opened. */
function checkImageSize({ model, stem }: ModelChoice, { height, width }: ImageSet): void {
  try {
    createModel(model, { stem, classes: 1 }).outputShape([1, height, width, 3], () => undefined);
  } catch (cause) {
    const reason = (cause as Error).message.replace(/; x is .*$/, "");
    throw new UsageError(`images of ${height} x ${width} are too small for ${model} (${reason}): raise --image-size`, {
      cause,
    });
  }
}

/** From about so many pixels on the stem for 32 makes the net slow, and its field of view small. */
const LARGE = 96;

/** The model is the one that was asked for, and trains: a warning. */
export function warnOfStem({ stem, imageSize }: Settings, output: Output): void {
  if (stem !== "cifar" || imageSize < LARGE) return;
  output.warn(
    `the cifar stem is for about 32 pixels: --stem imagenet for ${imageSize}, with resnet18, resnet34 or resnet50`,
  );
}

/** How many there are, and where others are frozen how many learn. */
export function describeParameters(model: Module): string {
  const parameters = model.parameters();
  const sizeOf = (list: typeof parameters): number => list.reduce((sum, { size }) => sum + size, 0);
  const [all, trained] = [sizeOf(parameters), sizeOf(parameters.filter(({ requiresGrad }) => requiresGrad))];
  return `${grouped(all)} parameters${trained < all ? `, ${grouped(trained)} of them trained` : ""}`;
}

/**
 * Batch norm has nothing to normalise by where a batch is one image, and that is one pixel by then: found after the first epoch
 * otherwise, which is lost with it.
 */
function refuseLoneImage(
  { batchSize, dropLast, freeze }: TrainFlags,
  { model, stem }: ModelChoice,
  train: ImageSet,
): void {
  const { count, height, width } = train;
  if (freeze || (batchSize > 1 && (dropLast || count % batchSize !== 1))) return;
  let lone = false;
  createModel(model, { stem, classes: 1 }).outputShape([1, height, width, 3], (module, y) => {
    lone ||= module instanceof BatchNorm2d && y[1] * y[2] === 1;
  });
  if (!lone) return;
  const [which, advice] =
    batchSize > 1
      ? ["the last batch of an epoch", "add --drop-last or choose another --batch-size"]
      : ["each batch", "raise --batch-size"];
  throw new UsageError(
    `${which} has one image, of which ${model} leaves one pixel, and batch norm needs more than one value: ${advice}`,
  );
}

/** Steps that do not fit the images are found here, before there is a run folder. */
function chooseAugment(flags: TrainFlags, data: RawDataset): string {
  const augment = flags.augment ?? defaultAugment(data);
  const { height, width } = data.train;
  usage(() => planAugment(parseAugment(augment), [height, width], [height, width]), "--augment");
  return augment;
}

function chooseClasses({ classes }: TrainFlags, data: RawDataset): number {
  if (classes === undefined || classes >= data.classes.length) return classes ?? data.classes.length;
  throw new UsageError(`--classes ${classes} is too few, the data has ${data.classes.length}: leave it out`);
}
