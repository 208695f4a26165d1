// Evaluating with a bar, until Ctrl-C.
import type { Classifier } from "../../../nn/index.ts";
import { evaluateBatches, type DeviceDataset, type Evaluation, type Tta } from "../../../training/index.ts";
import type { Output } from "./output.ts";
import { Progress } from "./progress.ts";

/** The evaluation with its logits; null where it was interrupted. */
export async function evaluateWatched(
  model: Classifier,
  images: DeviceDataset,
  { batchSize, tta, signal }: { readonly batchSize: number; readonly tta?: Tta; readonly signal: AbortSignal },
  output: Output,
): Promise<Evaluation | null> {
  const progress = new Progress(output);
  const batches = evaluateBatches(model, images, { batchSize, tta, logits: true });
  const start = performance.now();
  try {
    while (!signal.aborted) {
      const { done, value } = await batches.next();
      if (done) return value;
      const rate = (1000 * value) / (performance.now() - start);
      progress.show({ title: "testing", done: value, total: images.count, text: `${rate.toFixed(0)} img/s` });
    }
    return null;
  } finally {
    await batches.return(undefined as never);
    progress.hide();
  }
}
