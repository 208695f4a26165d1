import { crossEntropy as crossEntropyOp, type Tensor } from "../engine/index.ts";

/** From logits f32 [N,C] and labels u32 [N] to the mean loss of the batch: a scalar that gradients flow through. */
export type Loss = (logits: Tensor, labels: Tensor) => Tensor;

/**
 * Softmax cross-entropy for the Trainer.
 *
 * @param options.labelSmoothing share of the target that is spread over all classes, 0..1 (default 0), as in PyTorch
 */
export function crossEntropy({ labelSmoothing = 0 }: { labelSmoothing?: number } = {}): Loss {
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new Error(`crossEntropy: labelSmoothing must be 0 to 1, got ${labelSmoothing}`);
  }
  return (logits, labels) => crossEntropyOp(logits, labels, { labelSmoothing });
}
