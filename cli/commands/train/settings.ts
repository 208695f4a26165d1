// From flags to settings: every default decided, every contradiction found before a device is opened.
import path from "node:path";
import { createModel, type Checkpoint, type ModelInfo, type Stem } from "../../../nn/index.ts";
import { parseAugment, parseSchedule, ratesAt, type RawDataset, type ScheduleMaker } from "../../../training/index.ts";
import { preset } from "../../../training/presets/index.ts";
import { planAugment } from "../../../training/data/augment-plan.ts";
import { isDownloadable } from "../../../training/data/download.ts";
import { usage, UsageError } from "../shared/errors.ts";
import { RUN_FLAGS, type OptimizerName, type TrainFlags } from "./flags.ts";

/** The model that is asked for; its classes are known with the data. */
export interface ModelChoice {
  readonly model: string;
  readonly stem: Stem;
  readonly imageSize: number;
}

/** The recipe, every default decided. With `--lr auto` its rate is the default one until a better one is found. */
export interface Recipe {
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly schedule: string;
}

/** All that decides a run's bits: `settings` in config.json. */
export type Settings = Omit<TrainFlags, "json" | "debug" | "report" | "out" | "resume" | "config" | "adapter" | "lr"> &
  ModelChoice &
  Recipe & {
    readonly classes: number;
    readonly mean: readonly [number, number, number];
    readonly std: readonly [number, number, number];
    readonly augment: string;
  };

const RATES = { sgd: 0.1, adam: 1e-3, adamw: 1e-3 } as const;
const DECAYS = { sgd: 5e-4, adam: 0, adamw: 1e-2 } as const;

/** Checks all that needs no data. */
export function checkFlags(flags: TrainFlags): void {
  const { momentum = 0.9, nesterov, optimizer, freeze, init, augment, lr, schedule = "" } = flags;
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
  const own = /\b(max_lr|base_lr)=/.exec(schedule)?.[1];
  if (typeof lr === "string" && own) {
    throw new UsageError(`--lr ${lr} would change nothing: --schedule gives ${own}; leave one of the two out`);
  }
  if (augment !== undefined) usage(() => parseAugment(augment), "--augment");
  makeSchedule(chooseRecipe(flags));
}

/** What is known of the model that `--init` names. */
export interface InitFile {
  readonly file: string;
  readonly info: ModelInfo | undefined;
  readonly stem: Stem;
}

export function describeInit(file: string, { tensors, metadata }: Checkpoint): InitFile {
  const stem = tensors.get("conv1.weight")?.shape[2] === 7 ? "imagenet" : "cifar";
  return { file, info: metadata.model, stem: metadata.model?.stem ?? stem };
}

export function chooseModel({ model, stem, imageSize }: TrainFlags, init: InitFile | null): ModelChoice {
  if (init && !init.info && model === undefined) {
    throw new UsageError(`${init.file} does not say which model it is: name it with --model`);
  }
  const chosenStem = stem ?? init?.stem ?? "cifar";
  const imagenet = chosenStem === "imagenet";
  const choice = {
    model: model ?? init?.info?.name ?? (imagenet ? "resnet18" : "resnet20"),
    stem: chosenStem,
    imageSize: imageSize ?? init?.info?.imageSize ?? (imagenet ? 224 : 32),
  };
  usage(() => createModel(choice.model, { stem: choice.stem, classes: 1 }));
  return choice;
}

export function chooseRecipe({ optimizer, lr, momentum, weightDecay, schedule }: TrainFlags): Recipe {
  return {
    optimizer,
    lr: typeof lr === "number" ? lr : RATES[optimizer],
    momentum: momentum ?? 0.9,
    weightDecay: weightDecay ?? DECAYS[optimizer],
    schedule: schedule ?? (momentum === undefined ? "onecycle" : "onecycle:cycle_momentum=false"),
  };
}

/** The schedule, tried out on a short run, so that parameters that do not go together are found early. */
export function makeSchedule({ schedule, lr, momentum, optimizer }: Recipe): ScheduleMaker {
  const make = usage(() => parseSchedule(schedule), "--schedule");
  const first = usage(() => ratesAt(make({ lr, momentum, epochs: 100, stepsPerEpoch: 100 }), 0), "--schedule");
  if (optimizer === "sgd" && momentum === 0 && first.momentum !== 0) {
    throw new UsageError("--schedule: onecycle moves the momentum, --momentum 0 has none: add cycle_momentum=false");
  }
  return make;
}

export function resolve(flags: TrainFlags, choice: ModelChoice, data: RawDataset): Settings {
  const kept = Object.fromEntries(Object.entries(flags).filter(([key]) => !RUN_FLAGS.includes(key)));
  return {
    ...(kept as unknown as Omit<TrainFlags, "lr">),
    ...choice,
    ...chooseRecipe(flags),
    data: locate(flags.data),
    imageSize: data.train.height,
    classes: chooseClasses(flags, data),
    mean: data.mean,
    std: data.std,
    augment: chooseAugment(flags, data),
  };
}

/** A folder from the root, so that the run can be continued from anywhere. */
const locate = (data: string): string => (data === "shapes" || isDownloadable(data) ? data : path.resolve(data));

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

/** Moves and mirrors suit photographs of things. The built-in set is drawn in every position and needs none. */
function defaultAugment({ name, train }: RawDataset): string {
  if (name === "shapes") return "none";
  return `pad-crop:${Math.max(1, Math.round(train.height / 8))},flip`;
}
