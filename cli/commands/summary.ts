// node cli/summary.js: the layer table of a model.
import { createModel, formatSummary, stemImageSize, summarize, type Stem } from "../../nn/index.ts";
import { usage } from "./shared/errors.ts";
import { makeCommand, toggle } from "./shared/flags.ts";
import { classesFlag, imageSizeFlag, modelFlag, stemFlag, stemModel } from "./shared/model-flags.ts";
import { Output } from "./shared/output.ts";
import { runCommand } from "./shared/run.ts";

interface Flags {
  readonly model?: string;
  readonly classes: number;
  readonly stem: Stem;
  readonly imageSize?: number;
  readonly json: boolean;
}

export function main(args: readonly string[]): Promise<never> {
  const command = makeCommand("summary", "Prints a model's layers, shapes and parameters, as torchsummary does.")
    .addOption(modelFlag({ text: "resnet20, with --stem imagenet resnet18" }))
    .addOption(classesFlag(10))
    .addOption(stemFlag("cifar"))
    .addOption(imageSizeFlag({ text: "32, with --stem imagenet 224" }))
    .addOption(toggle("--json", "print the table as JSON"))
    .addOption(toggle("--debug", "print stacks"))
    .action(print);
  return runCommand(command, args);
}

function print({ model: wanted, classes, stem, imageSize, json }: Flags): void {
  const output = new Output(json);
  const name = wanted ?? stemModel(stem);
  const model = usage(() => createModel(name, { classes, stem }));
  const size = imageSize ?? stemImageSize(stem);
  const summary = usage(() => summarize(model, { imageSize: size }));
  if (json) output.document({ model: name, classes, stem, imageSize: size, ...summary });
  else output.result(formatSummary(summary));
}
