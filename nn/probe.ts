// Reading what a module inside of a model computes: feature maps, Grad-CAM.
import { adopt, keep } from "../engine/scope.ts";
import type { Tensor } from "../engine/tensor.ts";
import type { Module } from "./module.ts";

/**
 * Runs `work` and hands back, beside its result, what the modules of these names returned during it.
 *
 * The tensors still carry their graph. To get the gradient at one of them as well, set its `requiresGrad` before `backward()`.
 * Inside a residual block the batch norms return their fused result (after addition and ReLU, where they have them). A module
 * that runs several times is recorded at its last run.
 *
 * @param names as in `model.namedModules()`: "layer3", "layer4.1.conv2"
 * @throws Error where a name is unknown or its module did not run
 * @example const { result: logits, taps } = probe(model, ["layer3"], () => model.forward(x)); // taps.layer3
 */
export function probe<T, const Name extends string>(
  model: Module,
  names: readonly Name[],
  work: () => T,
): { result: T; taps: Record<Name, Tensor> } {
  const taps: Partial<Record<Name, Tensor>> = {};
  const kept: Tensor[] = [];
  const tapped = names.map((name) => [name, model.module(name)] as const);
  let result: T;
  try {
    for (const [name, module] of tapped) {
      const forward = module.forward.bind(module) as (...all: unknown[]) => Tensor;
      // An own property shadows the method: the modules need no code for being watched.
      module.forward = (...all: unknown[]) => {
        const tap = forward(...all);
        // One that only passes its input on does not own it.
        if (!all.includes(tap)) kept.push(keep(tap));
        return (taps[name] = tap);
      };
    }
    result = work();
  } finally {
    for (const [, module] of tapped) Reflect.deleteProperty(module, "forward");
    // Kept past the scopes that blocks open; from here they are the caller's, as the result is.
    for (const tap of kept) adopt(tap);
  }
  const missed = names.filter((name) => !taps[name]);
  if (missed.length > 0) throw new Error(`probe: ${missed.join(", ")} did not run`);
  return { result, taps: taps as Record<Name, Tensor> };
}
