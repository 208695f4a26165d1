// node cli/evaluate.js: measures a checkpoint on test images.
import { join } from "node:path";
import { files } from "#files";
import { readCheckpoint } from "../../nn/index.ts";
import {
  classificationReport,
  DeviceDataset,
  TTA_VIEWS,
  type Evaluation,
  type RawDataset,
  type Tta,
} from "../../training/index.ts";
import {
  addDataFlags,
  addNormalisationFlags,
  AS_TRAINED,
  describeTested,
  type TypedDataFlags,
} from "./shared/data-flags.ts";
import { asTrained, checkpointData, checkpointModel, type CheckpointFlags } from "./shared/checkpoint.ts";
import { addDeviceFlags, describeDevice, openCommandDevice, type DeviceFlags } from "./shared/device-flags.ts";
import { evaluateWatched } from "./shared/evaluate.ts";
import { alignClasses } from "./evaluate/classes.ts";
import { logitLines, resultLines, toDocument, type Source } from "./evaluate/report.ts";
import { anyText, flag, makeCommand, oneOf, toggle, wholeFrom } from "./shared/flags.ts";
import { Interrupt } from "./shared/interrupt.ts";
import { classesFlag, imageSizeFlag, modelFlag, stemFlag } from "./shared/model-flags.ts";
import { STATUS, UsageError } from "./shared/errors.ts";
import { Output } from "./shared/output.ts";
import { checkOutFile, checkOutFolder, makeOutFolder, readInput } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";

interface Flags extends CheckpointFlags, TypedDataFlags, DeviceFlags {
  readonly batchSize: number;
  readonly tta: Tta;
  readonly logits?: string;
  readonly out?: string;
  readonly json: boolean;
}

export function main(args: readonly string[]): Promise<never> {
  const command = makeCommand(
    "evaluate",
    "Measures a checkpoint on the test images: loss, accuracy, each class, confusions, calibration, mistakes.",
  );
  const inFile = { text: "what the checkpoint says" };
  command.addOption(
    flag("--checkpoint <file>", "weights as safetensors, such as best.safetensors", anyText, {
      text: "none: it must be given",
    }).makeOptionMandatory(),
  );
  addDataFlags(command, AS_TRAINED);
  command
    .addOption(flag("--batch-size <n>", "images at once", wholeFrom(1), 128))
    .addOption(
      flag("--tta <views>", "test on none, mirror or six views of each image, averaged", oneOf(...TTA_VIEWS), "none"),
    )
    .addOption(
      flag("--logits <file>", "write {index, label, logits} of each image, a line each", anyText, { text: "none" }),
    )
    .addOption(
      flag("--out <dir>", "folder for evaluation.json and the pictures", anyText, { text: "runs/<time>-evaluate" }),
    )
    .addOption(modelFlag(inFile))
    .addOption(stemFlag(inFile))
    .addOption(classesFlag(inFile))
    .addOption(imageSizeFlag(inFile));
  addNormalisationFlags(command, "what the checkpoint says, else the data's");
  command.addOption(toggle("--json", "print one JSON document to stdout, everything else to stderr"));
  addDeviceFlags(command).action(measure);
  return runCommand(command, args);
}

async function measure(flags: Flags): Promise<void> {
  const output = new Output(flags.json);
  const { checkpoint: path, logits, batchSize, tta } = flags;
  using interrupt = new Interrupt(() => output.note("\nstopping"));
  if ((flags.mean === undefined) !== (flags.std === undefined)) throw new UsageError("--mean and --std go together");
  checkOutFolder(flags.out);
  if (logits !== undefined) checkOutFile(logits, "--logits", '{"index":');
  const checkpoint = readCheckpoint(await readInput(path, "--checkpoint"), path);
  const model = checkpointModel(flags, checkpoint);
  const raw = alignClasses(
    await checkpointData(await asTrained(flags, checkpoint), checkpoint, model.stem, output),
    checkpoint,
    model.classes,
    output,
  );
  output.note(`data    ${describeTested(raw)}`);
  const out = await makeOutFolder(flags.out, "evaluate");
  using device = await openCommandDevice(flags);
  output.note(`device  ${describeDevice(device)}`);
  output.note(`model   ${model.name} of ${path}`);
  using images = new DeviceDataset(raw.test, raw);
  const evaluation = await evaluateWatched(model, images, { batchSize, tta, signal: interrupt.signal }, output);
  model.dispose();
  if (!evaluation) {
    process.exitCode = STATUS.interrupted;
    return;
  }
  if (!Number.isFinite(evaluation.loss)) output.warn(`the loss is not finite: the weights of ${path} are broken`);
  await write(evaluation, raw, { checkpoint: path, model: model.name, data: raw, tta }, flags, out, output);
}

async function write(
  { logits }: Evaluation,
  { classes, test }: RawDataset,
  source: Source,
  { json, logits: logitFile }: Flags,
  out: string,
  output: Output,
): Promise<void> {
  const report = classificationReport({ logits: logits!, labels: test.labels, classes });
  const document = toDocument(report, source);
  await files.writeAtomic(join(out, "evaluation.json"), `${JSON.stringify(document, null, 2)}\n`);
  const written = [join(out, "evaluation.json")];
  if (logitFile !== undefined) {
    await files.writeAtomic(logitFile, logitLines(logits!, test.labels));
    written.push(logitFile);
  }
  for (const line of json ? [] : resultLines(report, classes)) output.result(line);
  output.document({ ...document, out });
  // Drawing loads the chart library, which takes a moment: the figures come first.
  const { savePictures } = await import("./evaluate/pictures.ts");
  written.push(...(await savePictures(files.absolute(out), report, test, classes)));
  const { hiddenClasses } = await import("../../training/report/figures/classes.ts");
  const hidden = hiddenClasses(report);
  if (hidden > 0)
    output.warn(
      `the confusion pictures leave out the last ${hidden} of ${classes.length} classes: evaluation.json has all`,
    );
  output.note(`written: ${written.join(", ")}`);
}
