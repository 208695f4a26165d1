// Testing the model that is explained on the test images that are loaded.
import {
  classificationReport,
  DeviceDataset,
  evaluateBatches,
  type ClassificationReport,
  type Dataset,
} from "../../training/index.ts";
import { needData, needModel, type ExplainedModel, type State } from "./state.ts";

/** What a model makes of the test images. */
export interface TestReport extends Pick<
  ClassificationReport,
  "count" | "loss" | "accuracy" | "top5Accuracy" | "confusion" | "misclassified"
> {
  /** Expected calibration error. */
  readonly ece: number;
  /** For each image: what it is, what it was taken for, and how sure the model was, 0..1. */
  readonly labels: Uint16Array;
  readonly predictions: Uint16Array;
  readonly confidences: Float32Array;
}

/** Told after each batch. */
export type TestWatch = (done: number, count: number) => void;

/** Why the images that are loaded are no test for the model. */
export interface Unfit {
  readonly unfit: string;
}

/**
 * Tests the model. Others may use it between two batches.
 *
 * @returns null where training began, or another model or other images came, before the end
 */
export async function testModel(state: State, watch: TestWatch): Promise<TestReport | Unfit | null> {
  const explained = needModel(state);
  const { data } = needData(state);
  const unfit = mismatch(explained, data);
  if (unfit) return { unfit };
  const stale = (): boolean => state.working !== null || state.model?.model !== explained.model || state.data !== data;
  const { test, dispose } = normalised(data, explained);
  const batches = evaluateBatches(explained.model, test, { logits: true });
  try {
    while (!stale()) {
      const { done, value } = await explained.use(() => batches.next());
      // Others may have come with the last batch.
      if (done) return stale() ? null : describe(value.logits!, data);
      watch(value, test.count);
    }
    return null;
  } catch (error) {
    if (stale()) return null;
    throw error;
  } finally {
    await batches.return(undefined as never);
    dispose();
  }
}

function mismatch({ classes, settings }: ExplainedModel, data: Dataset): string | null {
  const { height } = data.test;
  if (settings.imageSize !== height) {
    return `the model takes images of ${settings.imageSize} pixels, those that are loaded have ${height}`;
  }
  if (classes.length !== data.classes.length) {
    return `the model tells ${classes.length} classes apart, the images that are loaded are of ${data.classes.length}`;
  }
  const other = data.classes.findIndex((name, label) => name !== classes[label]);
  if (other < 0) return null;
  return `the model's class ${other} is “${classes[other]}”, that of the images that are loaded “${data.classes[other]}”`;
}

/** The test images as the model wants them: one that was opened may have been trained on other statistics. */
function normalised(
  { test, classes }: Dataset,
  { settings: { mean, std } }: ExplainedModel,
): { readonly test: DeviceDataset; readonly dispose: () => void } {
  const same = [...test.mean, ...test.std].every((value, i) => value === [...mean, ...std][i]);
  if (same) return { test, dispose: () => undefined };
  const own = new DeviceDataset(test.raw, { classes, mean, std });
  return { test: own, dispose: () => own.dispose() };
}

function describe(logits: Float32Array, { test, classes }: Dataset): TestReport {
  const { labels } = test;
  const report = classificationReport({ logits, labels, classes });
  const { count, loss, accuracy, top5Accuracy, confusion, misclassified, calibration } = report;
  const outputs = logits.length / count;
  const predictions = new Uint16Array(count);
  const confidences = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const shares = softmax(logits.subarray(i * outputs, (i + 1) * outputs));
    predictions[i] = shares.reduce((most, share, c) => (share > shares[most] ? c : most), 0);
    confidences[i] = shares[predictions[i]];
  }
  return {
    count,
    loss,
    accuracy,
    top5Accuracy,
    confusion,
    misclassified,
    ece: calibration.ece,
    labels: Uint16Array.from(labels),
    predictions,
    confidences,
  };
}

/** Probabilities of logits. */
export function softmax(logits: Float32Array): Float32Array {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
