// The flags of explain.js.
import type { Command } from "commander";
import { camMethod, camMethods, colorMapNames, type CamMethod, type ColorMap } from "../../../training/index.ts";
import {
  addDataFlags,
  addNormalisationFlags,
  AS_TRAINED,
  type DataFlags,
  type TypedDataFlags,
} from "../shared/data-flags.ts";
import { addDeviceFlags, type DeviceFlags } from "../shared/device-flags.ts";
import type { CheckpointFlags } from "../shared/checkpoint.ts";
import { usage, UsageError } from "../shared/errors.ts";
import { anyText, flag, from0To1, makeCommand, oneOf, toggle, wholeFrom, type Rule } from "../shared/flags.ts";
import { classesFlag, imageSizeFlag, modelFlag, stemFlag } from "../shared/model-flags.ts";

export interface TypedExplainFlags extends CheckpointFlags, TypedDataFlags, DeviceFlags {
  readonly image?: readonly string[];
  readonly index?: readonly number[];
  readonly misclassified?: number;
  readonly layer?: readonly string[];
  readonly class?: readonly string[];
  readonly method: CamMethod;
  readonly colorMap: ColorMap;
  readonly imageWeight: number;
  readonly faithfulness: boolean;
  readonly batchSize: number;
  readonly out?: string;
  readonly json: boolean;
}

/** With the data that the model was trained on where none is typed. */
export type ExplainFlags = TypedExplainFlags & DataFlags;

const list: Rule<readonly string[]> = {
  wanted: "names with commas between them",
  read: (text) => {
    const parts = text.split(",").map((part) => part.trim());
    return parts.includes("") ? undefined : parts;
  },
};

const LARGEST_RANGE = 1_000_000;

/** "3,8,10-19" */
const indices: Rule<readonly number[]> = {
  wanted: "numbers of test images with commas between them, as in 0,7,20-29",
  read: (text) => {
    const parts = text.split(",").map((part) => /^(\d+)(?:-(\d+))?$/.exec(part.trim()));
    if (parts.some((part) => part === null)) return undefined;
    const ranges = parts.map((part) => [Number(part![1]), Number(part![2] ?? part![1])] as const);
    if (ranges.some(([from, to]) => to < from || to - from > LARGEST_RANGE)) return undefined;
    return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
  },
};

const method: Rule<CamMethod> = {
  wanted: "a method",
  read: (text) => usage(() => camMethod(text), "--method"),
};

export function explainCommand(): Command {
  const command = makeCommand(
    "explain",
    "Shows where in an image a model sees what it decides by: class activation maps, as pictures and numbers.",
  );
  const inFile = { text: "what the checkpoint says" };
  const none = { text: "none" };
  command
    .addOption(
      flag("--checkpoint <file>", "weights as safetensors, such as best.safetensors", anyText, {
        text: "none: it must be given",
      }).makeOptionMandatory(),
    )
    // Commander collects the values of a flag with "..." only where nothing parses them.
    .option("--image <files...>", "pictures of one's own, of any size (default: none)")
    .addOption(flag("--index <i,j,k-l>", "test images of --data, counted from 0", indices, none))
    .addOption(flag("--misclassified <n>", "the n most confident mistakes on the test images", wholeFrom(1), none));
  addDataFlags(command, AS_TRAINED)
    .addOption(
      flag("--layer <names>", "where the model is watched; the maps of several, with commas, are averaged", list, {
        text: "the last with at least 7 x 7 cells",
      }),
    )
    .addOption(
      flag("--class <names>", "names or numbers of classes, with commas, or all", list, {
        text: "the predicted, and the true one of a mistake",
      }),
    )
    .addOption(flag("--method <name>", camMethods.join(", "), method, "grad-cam"))
    .addOption(flag("--color-map <name>", colorMapNames.join(", "), oneOf(...colorMapNames), "jet"))
    .addOption(flag("--image-weight <share>", "how much of a picture is the image, the rest is heat", from0To1, 0.5))
    .addOption(toggle("--faithfulness", "measure whether the model goes by what the maps show (slow)"))
    .addOption(flag("--batch-size <n>", "images at once", wholeFrom(1), 32))
    .addOption(flag("--out <dir>", "folder for the pictures and maps.json", anyText, { text: "runs/<time>-explain" }))
    .addOption(modelFlag(inFile))
    .addOption(stemFlag(inFile))
    .addOption(classesFlag(inFile))
    .addOption(imageSizeFlag(inFile));
  addNormalisationFlags(command, "what the checkpoint says, else the data's");
  command.addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"));
  return addDeviceFlags(command);
}

export function checkExplainFlags({ image, index, misclassified, mean, std }: TypedExplainFlags): void {
  const ways = [image, index, misclassified].filter((way) => way !== undefined);
  if (ways.length === 0) throw new UsageError("which images? give --image FILE..., --index I,J or --misclassified N");
  if (ways.length > 1)
    throw new UsageError("--image, --index and --misclassified exclude each other: give one of them");
  if ((mean === undefined) !== (std === undefined)) throw new UsageError("--mean and --std go together");
}
