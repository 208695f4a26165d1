// Flags that name a model.
import type { Option } from "commander";
import { modelNames, STEMS, type Stem } from "../../../nn/index.ts";
import { suggestion } from "../../../training/suggest.ts";
import { flag, named, oneOf, wholeFrom } from "./flags.ts";

type Default<T> = T | { readonly text: string };

/** What a stem is for where nothing else is said. */
export const stemModel = (stem: Stem): string => (stem === "imagenet" ? "resnet18" : "resnet20");

export const modelFlag = (byDefault: Default<string>): Option =>
  flag(
    "--model <name>",
    modelNames.join(", "),
    named("model", modelNames, (word) => suggestion(word, modelNames)),
    byDefault,
  );

export const stemFlag = (byDefault: Default<Stem>): Option =>
  flag(
    "--stem <name>",
    "cifar (for about 32 pixels), padded (makes 56 of 32) or imagenet (for 224)",
    oneOf(...STEMS),
    byDefault,
  );

export const classesFlag = (byDefault: Default<number>): Option =>
  flag("--classes <n>", "number of classes that the model tells apart", wholeFrom(1), byDefault);

export const imageSizeFlag = (byDefault: Default<number>): Option =>
  flag("--image-size <pixels>", "height and width of the model's images", wholeFrom(1), byDefault);
