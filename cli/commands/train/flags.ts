// The flags of train.js.
import type { Command } from "commander";
import type { Stem } from "../../../nn/index.ts";
import { augmentNames } from "../../../training/index.ts";
import { scheduleNames } from "../../../training/schedule-grammar.ts";
import { addDataFlags, addNormalisationFlags, type DataFlags } from "../shared/data-flags.ts";
import { addDeviceFlags, type DeviceFlags } from "../shared/device-flags.ts";
import {
  above0,
  anyText,
  between0And1,
  flag,
  from0,
  from0Below1,
  from0To1,
  makeCommand,
  oneOf,
  seedNumber,
  toggle,
  wholeFrom,
} from "../shared/flags.ts";
import { classesFlag, imageSizeFlag, modelFlag, stemFlag } from "../shared/model-flags.ts";

export const OPTIMIZERS = ["sgd", "adam", "adamw"] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

/** As typed: what has no value here is decided when the data is known. */
export interface TrainFlags extends DataFlags, DeviceFlags {
  readonly model?: string;
  readonly stem?: Stem;
  readonly classes?: number;
  readonly imageSize?: number;
  readonly validation?: number;
  readonly limit?: number;
  readonly init?: string;
  readonly freeze: boolean;
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerName;
  readonly lr?: number;
  readonly momentum?: number;
  readonly nesterov: boolean;
  readonly weightDecay?: number;
  readonly labelSmoothing: number;
  readonly schedule?: string;
  readonly augment?: string;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly clipGrad?: number;
  readonly seed: number;
  readonly precision: "f32";
  readonly out?: string;
  readonly resume?: string;
  readonly config?: string;
  readonly json: boolean;
}

/** These say how a command is run, not what is trained: a resumed run takes them anew, and config.json leaves them out. */
export const RUN_FLAGS: readonly string[] = ["out", "resume", "config", "adapter", "json", "debug"];

export function trainCommand(): Command {
  const command = makeCommand("train", "Trains an image classifier and writes a run folder.");
  addDataFlags(command);
  addModelFlags(command);
  addRecipeFlags(command);
  addRunFlags(command);
  return addDeviceFlags(command);
}

function addModelFlags(command: Command): void {
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

function addRecipeFlags(command: Command): void {
  const later = (text: string): { text: string } => ({ text });
  command
    .addOption(flag("--epochs <n>", "passes over the training images", wholeFrom(1), 10))
    .addOption(flag("--batch-size <n>", "images a step", wholeFrom(1), 128))
    .addOption(flag("--optimizer <name>", "sgd, adam or adamw", oneOf(...OPTIMIZERS), "sgd"))
    .addOption(flag("--lr <rate>", "learning rate; the schedule's highest", above0, later("sgd 0.1, adam(w) 0.001")))
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
    .addOption(toggle("--no-shuffle", "show the images in the same order in every epoch"))
    .addOption(toggle("--drop-last", "leave out the last batch of an epoch where it is not full"))
    .addOption(flag("--clip-grad <norm>", "scale gradients down to this 2-norm", above0, later("no clipping")))
    .addOption(
      flag("--seed <n>", "draws weights, order and augmentation; splits and shapes do not depend on it", seedNumber, 0),
    )
    .addOption(flag("--precision <name>", "f32", oneOf("f32"), "f32"));
}

function addRunFlags(command: Command): void {
  command
    .addOption(flag("--out <dir>", "the run folder; must not hold a run yet", anyText, { text: "runs/<time>-<name>" }))
    .addOption(
      flag("--resume <dir>", "continue the run in this folder with its own settings, to the same bits", anyText, {
        text: "a new run",
      }),
    )
    .addOption(
      flag(
        "--config <file>",
        'JSON with flags, {"epochs": 20}, or a run\'s config.json; flags typed here win',
        anyText,
        {
          text: "none",
        },
      ),
    )
    .addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"));
}
