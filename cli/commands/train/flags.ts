// The flags of train.js.
import type { Command, Option } from "commander";
import {
  augmentNames,
  LR_METHODS,
  OPTIMIZERS,
  PRECISIONS,
  TTA_VIEWS,
  type LrMethod,
  type RunSettings,
} from "../../../training/index.ts";
import { MAX_ALPHA } from "../../../training/mix.ts";
import { presetNames } from "../../../training/presets/index.ts";
import { scheduleNames } from "../../../training/schedule-grammar.ts";
import { suggestion } from "../../../training/suggest.ts";
import { addDataFlags, addNormalisationFlags, type DataFlags } from "../shared/data-flags.ts";
import { addDeviceFlags, tuneFlag, type DeviceFlags } from "../shared/device-flags.ts";
import {
  above0,
  anyText,
  between0And1,
  flag,
  from0,
  from0Below1,
  from0To1,
  makeCommand,
  named,
  oneOf,
  seedNumber,
  toggle,
  wholeFrom,
  type Rule,
} from "../shared/flags.ts";
import { classesFlag, imageSizeFlag, modelFlag, stemFlag } from "../shared/model-flags.ts";

/** Settings that have a value from the start. */
type Given =
  | "epochs"
  | "batchSize"
  | "optimizer"
  | "nesterov"
  | "labelSmoothing"
  | "mixup"
  | "cutmix"
  | "shuffle"
  | "dropLast"
  | "clipGrad"
  | "accumulate"
  | "ema"
  | "tta"
  | "earlyStop"
  | "seed"
  | "precision"
  | "freeze"
  | "preset";
/** Settings whose value, where none is typed, is decided when the data is known. */
type Decided = "model" | "stem" | "classes" | "imageSize" | "momentum" | "weightDecay" | "schedule" | "augment";

/** As typed. */
export interface TrainFlags
  extends DataFlags, DeviceFlags, Pick<RunSettings, Given>, Partial<Pick<RunSettings, Decided>> {
  readonly validation?: number;
  readonly limit?: number;
  readonly init?: string;
  readonly lr?: number | AutoRate;
  readonly tune: "on" | "off";
  readonly out?: string;
  readonly resume?: string;
  readonly config?: string;
  readonly report: boolean;
  readonly json: boolean;
}

/** These say how a command is run, not what is trained: a resumed run takes them anew, and config.json leaves them out. */
export const RUN_FLAGS: readonly string[] = ["out", "resume", "config", "adapter", "report", "json", "debug"];

export function trainCommand(): Command {
  const command = makeCommand("train", "Trains an image classifier and writes a run folder.");
  addDataFlags(command);
  addModelFlags(command);
  addRecipeFlags(command);
  addRunFlags(command);
  return addDeviceFlags(command);
}

export function addModelFlags(command: Command): void {
  command
    .addOption(
      flag("--validation <fraction>", "share of the training images held out to choose the best epoch", between0And1, {
        text: "none",
      }),
    )
    .addOption(flag("--limit <n>", "train on the first n images only", wholeFrom(1), { text: "all" }))
    .addOption(modelFlag({ text: "that of --init, else resnet20, with --stem imagenet resnet18" }))
    .addOption(stemFlag({ text: "that of --init, else cifar" }))
    .addOption(classesFlag({ text: "those of the data" }))
    .addOption(imageSizeFlag({ text: "32, with --stem imagenet 224" }))
    .addOption(
      flag("--init <file>", "start from these weights (safetensors: ours, torchvision's, timm's)", anyText, {
        text: "random weights",
      }),
    )
    .addOption(toggle("--freeze", "train the last layer only; needs --init"));
  addNormalisationFlags(command, "CIFAR: the usual; else the training images' own");
}

/** @param lr what `--lr` means, where that is not the rate of a training */
export function addRecipeFlags(command: Command, lr?: string): void {
  const later = (text: string): { text: string } => ({ text });
  command
    .addOption(flag("--epochs <n>", "passes over the training images; 9.9 ends within the tenth", above0, 10))
    .addOption(flag("--batch-size <n>", "images a step", wholeFrom(1), 128))
    .addOption(flag("--optimizer <name>", "sgd, adam or adamw", oneOf(...OPTIMIZERS), "sgd"))
    .addOption(
      flag(
        "--lr <rate>",
        lr ??
          "learning rate, the schedule's highest; auto finds one first by a range test, auto:steepest by another of its rules",
        rateOrAuto,
        later("sgd 0.1, adam(w) 0.001"),
      ),
    )
    .addOption(flag("--momentum <share>", "SGD's momentum, Adam's beta1", from0Below1, later("0.9; see --schedule")))
    .addOption(toggle("--nesterov", "Nesterov's momentum, for sgd"))
    .addOption(
      flag("--weight-decay <rate>", "shrink weights at each step", from0, later("sgd 0.0005, adam 0, adamw 0.01")),
    )
    .addOption(flag("--label-smoothing <share>", "spread this share of the target", from0To1, 0))
    .addOption(
      flag(
        "--schedule <spec>",
        `${scheduleNames.join(", ")}; as in multistep:milestones=30/80,gamma=0.1`,
        anyText,
        later("onecycle; its momentum too goes around a cycle unless --momentum is given"),
      ),
    )
    .addOption(
      flag(
        "--augment <spec>",
        `${augmentNames.join(", ")}; as in pad-crop:4,flip,cutout:8`,
        anyText,
        later("shapes: none; else pad-crop by an eighth of the size, flip"),
      ),
    )
    .addOption(
      flag("--mixup <alpha>", "blend pairs of images, the share drawn from Beta(alpha, alpha)", alpha, later("none")),
    )
    .addOption(
      flag("--cutmix <alpha>", "paste a box of another image, its area drawn from Beta(alpha, alpha)", alpha, {
        text: "none; with --mixup one of the two is drawn for each batch",
      }),
    )
    .addOption(toggle("--no-shuffle", "show the images in the same order in every epoch"))
    .addOption(toggle("--drop-last", "leave out the last batch of an epoch where it is not full"))
    .addOption(flag("--clip-grad <norm>", "scale gradients down to this 2-norm", above0, later("no clipping")))
    .addOption(flag("--accumulate <n>", "batches whose gradients make one step", wholeFrom(1), 1))
    .addOption(
      flag("--ema <decay>", "test and export a moving average of the weights, as 0.999", between0And1, later("none")),
    )
    .addOption(
      flag("--tta <views>", "test on none, mirror or six views of each image, averaged", oneOf(...TTA_VIEWS), "none"),
    )
    .addOption(
      flag("--early-stop <epochs>", "end after so many epochs without a better validation or test loss", wholeFrom(1), {
        text: "never",
      }),
    )
    .addOption(
      flag("--seed <n>", "draws weights, order and augmentation; splits and shapes do not depend on it", seedNumber, 0),
    )
    .addOption(flag("--precision <name>", "f32, or mixed: activations in half precision", oneOf(...PRECISIONS), "f32"))
    .addOption(tuneFlag());
}

const alpha: Rule<number> = {
  wanted: `${above0.wanted} and at most ${MAX_ALPHA}`,
  read: (text) => {
    const value = above0.read(text);
    return value !== undefined && value <= MAX_ALPHA ? value : undefined;
  },
};

/** "auto" or "auto:steepest": the range test, and whose answer counts. */
export type AutoRate = "auto" | `auto:${LrMethod}`;

const AUTO_RATES: readonly AutoRate[] = ["auto", ...LR_METHODS.map((method) => `auto:${method}` as const)];

/** A number, or the word that asks for the range test. */
const rateOrAuto: Rule<number | AutoRate> = {
  wanted: `${above0.wanted}, or ${AUTO_RATES.join(", ")}`,
  read: (text) => AUTO_RATES.find((word) => word === text) ?? above0.read(text),
};

/** The rule that `--lr auto...` names; null for a plain rate. */
export function autoMethod(lr: TrainFlags["lr"]): LrMethod | null {
  if (typeof lr !== "string") return null;
  return LR_METHODS.find((method) => lr === `auto:${method}`) ?? "valley";
}

function addRunFlags(command: Command): void {
  command
    .addOption(presetFlag())
    .addOption(flag("--out <dir>", "the run folder; must not hold a run yet", anyText, { text: "runs/<time>-<name>" }))
    .addOption(
      flag("--resume <dir>", "continue the run in this folder with its own settings, to the same bits", anyText, {
        text: "a new run",
      }),
    )
    .addOption(configFlag())
    .addOption(toggle("--no-report", "write no report.html and no pictures at the end"))
    .addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"));
}

export const presetFlag = (): Option =>
  flag(
    "--preset <name>",
    `a published recipe: ${presetNames.join(", ")}; flags typed here win`,
    named("preset", presetNames, (word) => suggestion(word, presetNames)),
    { text: "none" },
  );

export const configFlag = (): Option =>
  flag("--config <file>", 'JSON with flags, {"epochs": 20}, or a run\'s config.json; flags typed here win', anyText, {
    text: "none",
  });
