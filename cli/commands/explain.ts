// node cli/explain.js: where in an image a model sees what it decides by.
import { join } from "node:path";
import { files } from "#files";
import { readCheckpoint, type Classifier } from "../../nn/index.ts";
import { DeviceDataset, spatialLayers, type ImageSet } from "../../training/index.ts";
import { classificationReport } from "../../training/classification-report.ts";
import { Faithfulness, faithfulnessLines } from "./explain/faithfulness.ts";
import { checkExplainFlags, explainCommand, type ExplainFlags, type TypedExplainFlags } from "./explain/flags.ts";
import { explainAll, type Explained } from "./explain/maps.ts";
import { earlierPictures, explainedPicture, pictureNames } from "./explain/pictures.ts";
import { describeImages, mapsDocument, resultLines } from "./explain/result.ts";
import {
  chosenClasses,
  fileSubjects,
  openSource,
  testSubjects,
  type Source,
  type Subjects,
} from "./explain/subjects.ts";
import { asTrained, checkpointImageSize, checkpointModel } from "./shared/checkpoint.ts";
import { describeDevice, openCommandDevice } from "./shared/device-flags.ts";
import { STATUS, usage, UsageError } from "./shared/errors.ts";
import { evaluateWatched } from "./shared/evaluate.ts";
import { Interrupt } from "./shared/interrupt.ts";
import { counted, grouped, Output } from "./shared/output.ts";
import { checkOutFolder, makeOutFolder, readInput } from "./shared/paths.ts";
import { runCommand } from "./shared/run.ts";

export const main = (args: readonly string[]): Promise<never> => runCommand(explainCommand().action(explain), args);

async function explain(typed: TypedExplainFlags): Promise<void> {
  const output = new Output(typed.json);
  const { checkpoint: path } = typed;
  using interrupt = new Interrupt(() => output.note("\nstopping"));
  checkExplainFlags(typed);
  checkOutFolder(typed.out);
  const checkpoint = readCheckpoint(await readInput(path, "--checkpoint"), path);
  const flags: ExplainFlags = await asTrained(typed, checkpoint, typed.image === undefined);
  const model = checkpointModel(flags, checkpoint);
  const size = checkpointImageSize(flags, checkpoint, model.stem);
  checkLayers(model, size, flags.layer);
  const source = await openSource(flags, checkpoint, model, output);
  const classes = chosenClasses(flags, source.info.classes);
  const given = flags.image && (await fileSubjects(flags.image, { size, mode: flags.resize }));
  const out = await makeOutFolder(flags.out, "explain");
  using device = await openCommandDevice(flags);
  output.note(`device  ${describeDevice(device)}`);
  output.note(`model   ${model.name} of ${path}`);
  const { signal } = interrupt;
  const subjects = given ?? (await testImages(model, source, flags, signal, output));
  const faithfulness = flags.faithfulness ? new Faithfulness(flags.batchSize) : null;
  const explained =
    subjects && (await explainSubjects(model, subjects, classes, source, flags, signal, output, faithfulness));
  model.dispose();
  if (!subjects || !explained) {
    process.exitCode = STATUS.interrupted;
    return;
  }
  await writeResults(explained, subjects.set, source.info.classes, flags, out, output, faithfulness);
}

function checkLayers(model: Classifier, size: number, layers: readonly string[] = []): void {
  const spatial = new Set(spatialLayers(model, size).map(({ name }) => name));
  for (const name of layers) {
    usage(() => model.module(name), "--layer");
    if (spatial.has(name)) continue;
    const parts = [...spatial].filter((each) => !each.includes("."));
    throw new UsageError(`--layer ${name} has no places to show: choose of ${parts.join(", ")} and their parts`);
  }
}

/** Those asked for by number, or the most confident mistakes. Null where it was interrupted. */
async function testImages(
  model: Classifier,
  { test, info }: Source,
  { index, misclassified, batchSize }: ExplainFlags,
  signal: AbortSignal,
  output: Output,
): Promise<Subjects | null> {
  if (index) return testSubjects(test!, index);
  using data = new DeviceDataset(test!, info);
  const evaluation = await evaluateWatched(model, data, { batchSize, signal }, output);
  if (!evaluation) return null;
  const { classes } = info;
  const report = classificationReport({ logits: evaluation.logits!, labels: test!.labels, classes });
  output.note(`data    ${counted(test!.count, "test image")}, ${grouped(report.misclassified)} misclassified`);
  const found = report.mistakes.slice(0, misclassified).map((mistake) => mistake.index);
  return testSubjects(test!, found);
}

async function explainSubjects(
  model: Classifier,
  { list, set }: Subjects,
  classes: readonly number[] | undefined,
  { info }: Source,
  flags: ExplainFlags,
  signal: AbortSignal,
  output: Output,
  faithfulness: Faithfulness | null,
): Promise<Explained[] | null> {
  if (list.length === 0) return [];
  using data = new DeviceDataset(set, info);
  const visit = faithfulness?.visitor(model, set) ?? (() => Promise.resolve());
  return await explainAll({ model, data, subjects: list, classes, signal }, flags, output, visit);
}

async function writeResults(
  explained: readonly Explained[],
  set: ImageSet,
  names: readonly string[],
  flags: ExplainFlags,
  out: string,
  output: Output,
  faithfulness: Faithfulness | null,
): Promise<void> {
  const pictureFiles = pictureNames(explained.map(({ subject }) => subject));
  for (const [i, one] of explained.entries()) {
    await files.writeAtomic(join(out, pictureFiles[i]), await explainedPicture(one, names, set, i, flags));
    for (const line of flags.json ? [] : resultLines(one, names, pictureFiles[i])) output.result(line);
  }
  const measured = faithfulness && explained.length > 0 ? { faithfulness: faithfulness.figures() } : {};
  if (measured.faithfulness && !flags.json)
    for (const line of faithfulnessLines(measured.faithfulness)) output.result(line);
  const images = describeImages(explained, names, pictureFiles);
  const document = mapsDocument(explained, names, flags.method, set, { images, ...measured });
  await files.writeAtomic(join(out, "maps.json"), document);
  output.document({ images, method: flags.method, layers: explained[0]?.layers ?? [], ...measured, out });
  output.note(
    `written into ${out}: maps.json${pictureFiles.length > 0 ? `, ${counted(pictureFiles.length, "picture")}` : ""}`,
  );
  const present = (await files.list(out)).map(({ name }) => name);
  const earlier = earlierPictures(present, pictureFiles);
  if (earlier.length > 0)
    output.note(`of an earlier time, not in maps.json: ${counted(earlier.length, "picture")}, such as ${earlier[0]}`);
}
