// A model's numbers under PyTorch's names and in PyTorch's layouts, out of the model and into it.
import { sameShape, showShape } from "../engine/shape.ts";
import { toFloat32 } from "./half-floats.ts";
import { fromDisk, readAll, toDisk } from "./layout.ts";
import type { Module } from "./module.ts";
import { Counter, type OwnedTensor } from "./parameter.ts";
import type { SafeTensor } from "./safetensors.ts";
import { listNames, matchNames } from "./state-names.ts";

/** Host tensors by name, in the order of PyTorch's `state_dict()`. */
export type StateDict = Map<string, SafeTensor>;

/** Reads everything that a model has learned: parameters and running statistics as F32, counts as I64. */
export async function stateDict(model: Module): Promise<StateDict> {
  const entries = model.namedEntries();
  const values = await readAll(entries.flatMap(([, entry]) => (entry instanceof Counter ? [] : [entry])));
  return new Map(
    entries.map(([name, entry]): [string, SafeTensor] => {
      if (entry instanceof Counter)
        return [name, { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(entry.value)) }];
      return [name, { dtype: "F32", shape: entry.diskShape, data: toDisk(values.get(entry)!, entry) }];
    }),
  );
}

export interface LoadOptions {
  /** Refuse missing and unexpected names. Default true. Shapes must fit in any case. */
  strict?: boolean;
  /** The file's name, for messages. */
  origin?: string;
}

export interface LoadReport {
  /** Names of the model that were loaded. */
  loaded: string[];
  /** Names of the model that the entries lack (counts, which old files have not, left out). */
  missing: string[];
  /** Names of the entries that the model lacks. */
  unexpected: string[];
}

/**
 * Loads a state dict: ours, torchvision's, timm's, or one with the common CIFAR names (`shortcut.N`, `linear`), with or without the
 * prefix `module.`. Everything is checked before anything is written.
 *
 * @throws Error naming the tensor and both shapes, or the first missing or unexpected names
 */
export function loadStateDict(
  model: Module,
  entries: ReadonlyMap<string, SafeTensor>,
  options: LoadOptions = {},
): LoadReport {
  return checkStateDict(model, entries, options)();
}

/** Checks as `loadStateDict`, and returns what then loads: for whoever has more to check before anything is written. */
export function checkStateDict(
  model: Module,
  entries: ReadonlyMap<string, SafeTensor>,
  { strict = true, origin = "state dict" }: LoadOptions = {},
): () => LoadReport {
  const plan = planLoad(model, entries, origin);
  if (strict) refuseDifferences(plan, origin);
  for (const { name, target, source } of plan.pairs) checkFit(name, target, source, origin);
  return () => apply(plan);
}

/**
 * Starts a model from the weights of another: as `loadStateDict`, but the classifier may be missing or be of another size. Then
 * it keeps its fresh weights.
 *
 * @returns what was done, as a sentence for the user, and the names that were loaded
 */
export function initFrom(
  model: Module,
  entries: ReadonlyMap<string, SafeTensor>,
  { origin = "state dict" }: { origin?: string } = {},
): LoadReport & { message: string } {
  const plan = planLoad(model, entries, origin);
  const head = plan.pairs.filter(({ name }) => isClassifier(name));
  const classes = head[0]?.source.shape[0];
  const replaced = head.some(({ target, source }) => !fits(target, source));
  if (replaced) {
    plan.pairs = plan.pairs.filter(({ name }) => !isClassifier(name));
    plan.missing.push(...head.map(({ name }) => name));
  }
  refuseDifferences({ ...plan, missing: plan.missing.filter((name) => !isClassifier(name)) }, origin);
  for (const { name, target, source } of plan.pairs) checkFit(name, target, source, origin);
  const report = apply(plan);
  const fresh = report.missing.length > 0;
  const why = replaced ? `the file's is for ${classes} classes` : "the file has none";
  return {
    ...report,
    message: `${origin}: loaded ${report.loaded.length} tensors${fresh ? `; made a fresh ${CLASSIFIER} (${why})` : ""}`,
  };
}

/** The name of the last layer, in torchvision's models and ours. */
const CLASSIFIER = "fc";
const isClassifier = (name: string): boolean => name.startsWith(`${CLASSIFIER}.`);

interface Pairing {
  name: string;
  target: OwnedTensor | Counter;
  source: SafeTensor;
}
interface Plan {
  pairs: Pairing[];
  missing: string[];
  unexpected: string[];
}

function planLoad(model: Module, entries: ReadonlyMap<string, SafeTensor>, origin: string): Plan {
  const targets = new Map(model.namedEntries());
  const { matched, unexpected } = matchNames(new Set(targets.keys()), entries.keys(), origin);
  const pairs: Pairing[] = [];
  const missing: string[] = [];
  for (const [name, target] of targets) {
    const fileName = matched.get(name);
    if (fileName !== undefined) pairs.push({ name, target, source: entries.get(fileName)! });
    else if (!(target instanceof Counter)) missing.push(name);
  }
  return { pairs, missing, unexpected };
}

function refuseDifferences({ pairs, missing, unexpected }: Plan, origin: string): void {
  if (missing.length === 0 && unexpected.length === 0) return;
  const parts = [
    ...(missing.length > 0 ? [`it lacks ${missing.length} of the model's tensors (${listNames(missing)})`] : []),
    ...(unexpected.length > 0 ? [`it has ${unexpected.length} that the model lacks (${listNames(unexpected)})`] : []),
  ];
  const who = pairs.length === 0 ? "holds no tensor of this model" : "is of another model";
  throw new Error(`${origin} ${who}: ${parts.join(", ")}`);
}

const targetShape = (target: OwnedTensor | Counter): readonly number[] =>
  target instanceof Counter ? [] : target.diskShape;

/** A count may be a scalar or one number in a list. */
const fits = (target: OwnedTensor | Counter, source: SafeTensor): boolean =>
  target instanceof Counter ? source.data.length === 1 : sameShape(target.diskShape, source.shape);

function checkFit(name: string, target: OwnedTensor | Counter, source: SafeTensor, origin: string): void {
  if (!fits(target, source)) {
    const shapes = `${showShape(source.shape)} in the file, ${showShape(targetShape(target))} in the model`;
    throw new Error(`${origin}: "${name}" is ${shapes}${shapeHint(name, target, source)}`);
  }
  if (target instanceof Counter) {
    const count = Number(source.data[0]);
    if (!Number.isInteger(count) || count < 0) throw new Error(`${origin}: "${name}" is ${count}, not a count`);
  } else if (!FLOATS.has(source.dtype)) {
    throw new Error(`${origin}: "${name}" has the type ${source.dtype}, weights are F32, F16, BF16 or F64`);
  }
}

const FLOATS: ReadonlySet<string> = new Set(["F32", "F16", "BF16", "F64"]);

function shapeHint(name: string, target: OwnedTensor | Counter, source: SafeTensor): string {
  const [classes] = source.shape;
  if (isClassifier(name)) return ` (the file is for ${classes} classes)`;
  const [inFile, inModel] = [source.shape[2], targetShape(target)[2]];
  if (name !== "conv1.weight" || inFile === inModel) return "";
  if (inFile === 7) return ' (the file has the stem "imagenet": build the model with it)';
  return inModel === 7 ? ' (the file has the stem "cifar": build the model with it)' : "";
}

function apply({ pairs, missing, unexpected }: Plan): LoadReport {
  for (const { target, source } of pairs) {
    if (target instanceof Counter) target.value = Number(source.data[0]);
    else target.write(fromDisk(toFloat32(source), target));
  }
  return { loaded: pairs.map(({ name }) => name), missing, unexpected };
}
