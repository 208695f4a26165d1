// Making the maps, a batch at a time.
import type { Tensor } from "../../../engine/index.ts";
import type { Classifier } from "../../../nn/index.ts";
import { gradCam, type CamMaps, type DeviceDataset } from "../../../training/index.ts";
import { evaluateWatched } from "../shared/evaluate.ts";
import type { Output } from "../shared/output.ts";
import { Progress } from "../shared/progress.ts";
import type { ExplainFlags } from "./flags.ts";
import type { Subject } from "./subjects.ts";

/** An image with its maps. */
export interface Explained {
  readonly subject: Subject;
  /** Softmax of the logits. */
  readonly probabilities: readonly number[];
  readonly prediction: number;
  readonly layers: readonly string[];
  /** In the order of the maps. */
  readonly classes: readonly number[];
  readonly maps: readonly Float32Array[];
}

/** What a class is to an image: "predicted", "true", both, or "" where it is neither. */
export const roleOf = ({ prediction, subject }: Explained, label: number): string =>
  [label === prediction && "predicted", label === subject.label && "true"].filter(Boolean).join(", ");

/** Whether the maps are of a mistake's predicted and true class, so that their difference says something. */
export const isMistake = ({ classes, prediction, subject }: Explained): boolean =>
  classes.length === 2 && prediction !== subject.label && classes[0] === prediction && classes[1] === subject.label;

/** Called with each batch and the places of its images among the subjects. */
export type BatchVisitor = (images: Tensor, maps: CamMaps, places: readonly number[]) => Promise<void>;

interface Work {
  readonly model: Classifier;
  readonly data: DeviceDataset;
  readonly subjects: readonly Subject[];
  /** Default: the predicted class, and the true one where it is another. */
  readonly classes: readonly number[] | undefined;
  readonly signal: AbortSignal;
}

/** Null where it was interrupted. */
export async function explainAll(
  { model, data, subjects, classes, signal }: Work,
  flags: ExplainFlags,
  output: Output,
  visit: BatchVisitor,
): Promise<Explained[] | null> {
  const { batchSize } = flags;
  const evaluation = classes ? null : await evaluateWatched(model, data, { batchSize, signal }, output);
  const classesOf = (place: number): readonly number[] =>
    classes ?? usualClasses(evaluation!.predictions[place], subjects[place]);
  const progress = new Progress(output);
  const result: Explained[] = [];
  try {
    for (let first = 0; first < subjects.length; first += batchSize) {
      if (signal.aborted) return null;
      const end = Math.min(first + batchSize, subjects.length);
      const places = Array.from({ length: end - first }, (_, i) => first + i);
      for (const some of byCount(places, classesOf)) {
        using images = data.images(some.places);
        const options = { layers: flags.layer, method: flags.method, batchSize };
        const maps = await gradCam(model, images, { ...options, classes: some.classes });
        await visit(images, maps, some.places);
        some.places.forEach((place, n) => (result[place] = toExplained(subjects[place], maps, n)));
      }
      progress.show({ title: "explaining", done: end, total: subjects.length, text: flags.method });
    }
    return signal.aborted ? null : result;
  } finally {
    progress.hide();
  }
}

const usualClasses = (predicted: number, { label = predicted }: Subject): number[] =>
  label === predicted ? [predicted] : [predicted, label];

interface Batch {
  readonly places: readonly number[];
  /** [N][K] */
  readonly classes: readonly (readonly number[])[];
}

/** Batches whose images have as many maps each: those that were recognised have one, the others two. */
function byCount(places: readonly number[], classesOf: (place: number) => readonly number[]): Batch[] {
  const counts = [...new Set(places.map((place) => classesOf(place).length))];
  return counts.map((count) => {
    const alike = places.filter((place) => classesOf(place).length === count);
    return { places: alike, classes: alike.map(classesOf) };
  });
}

function toExplained(subject: Subject, maps: CamMaps, n: number): Explained {
  const logits = Array.from(maps.logits[n]);
  const most = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return {
    subject,
    probabilities: logits.map((logit) => Math.exp(logit - most) / sum),
    prediction: logits.indexOf(most),
    layers: maps.layers,
    classes: maps.classes[n],
    maps: maps.classes[n].map((_, k) => maps.map(n, k).slice()),
  };
}
