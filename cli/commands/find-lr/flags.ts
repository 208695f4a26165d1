// The flags of find-lr.js: those of train.js that say what is trained and how, and those of the range test.
import type { Command } from "commander";
import { LR_FINDER_DEFAULTS, LR_METHODS, type LrMethod, type RangeMode } from "../../../training/lr-finder/index.ts";
import { addDataFlags } from "../shared/data-flags.ts";
import { addDeviceFlags } from "../shared/device-flags.ts";
import { anyText, flag, from0, from0To1, makeCommand, oneOf, toggle, wholeFrom } from "../shared/flags.ts";
import { addModelFlags, addRecipeFlags, configFlag, presetFlag, type TrainFlags } from "../train/flags.ts";

export interface FindLrFlags extends TrainFlags {
  readonly startLr: number;
  readonly endLr: number;
  readonly iterations: number;
  readonly mode: RangeMode;
  readonly loss: "train" | "validation";
  readonly smooth: number;
  readonly debias: boolean;
  readonly diverge: number;
  readonly method: LrMethod;
}

export function findLrCommand(): Command {
  const command = makeCommand(
    "find-lr",
    "Finds a learning rate: trains a little with a growing rate, and says where the loss fell best. Takes train.js's flags.",
  );
  addRangeFlags(command);
  addDataFlags(command);
  addModelFlags(command);
  addRecipeFlags(command, "taken for train.js's sake, without effect: the rates are those of the range");
  command
    .addOption(presetFlag())
    .addOption(
      flag("--out <dir>", "folder for lr-finder.json, .svg and .png", anyText, { text: "runs/<time>-find-lr" }),
    )
    .addOption(configFlag())
    .addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"));
  return addDeviceFlags(command);
}

function addRangeFlags(command: Command): void {
  const { startLr, endLr, iterations, mode, smooth, diverge, method } = LR_FINDER_DEFAULTS;
  command
    .addOption(flag("--start-lr <rate>", "the first rate", from0, startLr))
    .addOption(flag("--end-lr <rate>", "the last rate", from0, endLr))
    .addOption(flag("--iterations <n>", "steps from the first rate to the last", wholeFrom(10), iterations))
    .addOption(flag("--mode <how>", "exp: by the same factor each step; linear", oneOf("exp", "linear"), mode))
    .addOption(
      flag(
        "--loss <which>",
        "train: the batch's; validation: that of all held-out (--validation) or else test images, slow",
        oneOf("train", "validation"),
        "train",
      ),
    )
    .addOption(flag("--smooth <share>", "weight of a new loss in the average; 0: no smoothing", from0To1, smooth))
    .addOption(toggle("--no-debias", "start the average at the first loss, as torch-lr-finder does"))
    .addOption(
      flag("--diverge <factor>", "stop where the smoothed loss is so many times its lowest; 0: never", from0, diverge),
    )
    .addOption(
      flag(
        "--method <name>",
        `whose suggestion is taken, of ${LR_METHODS.join(", ")}; all are printed`,
        oneOf(...LR_METHODS),
        method as LrMethod,
      ),
    );
}
