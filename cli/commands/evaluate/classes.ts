// The classes of a checkpoint and those of the data.
import type { Checkpoint } from "../../../nn/index.ts";
import type { RawDataset } from "../../../training/index.ts";
import type { Output } from "../shared/output.ts";

/**
 * The data with labels that mean the same as the checkpoint's: a test folder may hold some of the classes only, which numbers the rest
 * anew. Where the names differ altogether labels are left as they are, with a warning.
 *
 * @param outputs how many classes the model tells apart
 * @throws where the checkpoint knows some of the data's classes but not all: the others have no number
 */
export function alignClasses(raw: RawDataset, { metadata }: Checkpoint, outputs: number, output: Output): RawDataset {
  const known = metadata.classes;
  if (known && !same(known, raw.classes)) {
    const unknown = raw.classes.filter((name) => !known.includes(name));
    if (unknown.length === 0) return relabel(raw, known);
    if (unknown.length < raw.classes.length) throw new Error(describeUnknown(unknown, known));
    output.warn(
      `the checkpoint tells ${list(known)} apart, the data has ${list(raw.classes)}: are they the same things?`,
    );
  }
  if (raw.classes.length > outputs) {
    throw new Error(
      `the model tells ${outputs} classes apart, the data has ${raw.classes.length}: give the --data that it is for`,
    );
  }
  return raw;
}

function relabel(raw: RawDataset, known: readonly string[]): RawDataset {
  const numbers = raw.classes.map((name) => known.indexOf(name));
  const labels = Uint16Array.from(raw.test.labels, (label) => numbers[label]);
  return { ...raw, classes: known, test: { ...raw.test, labels } };
}

function describeUnknown(unknown: readonly string[], known: readonly string[]): string {
  const [are, their] = unknown.length === 1 ? ["is not a class", "its folder"] : ["are not classes", "their folders"];
  return `${list(unknown)} ${are} of the checkpoint (${list(known)}): leave ${their} out of the data`;
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i]);

const list = (names: readonly string[]): string => `${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}`;
