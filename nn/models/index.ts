// Models by name.
import { airbench94, airbench95, airbench96 } from "./airbench.ts";
import type { Classifier } from "./classifier.ts";
import {
  resnet18,
  resnet20,
  resnet32,
  resnet34,
  resnet44,
  resnet50,
  resnet56,
  resnet8,
  type ModelOptions,
} from "./resnet.ts";

const models: Readonly<Record<string, (options?: ModelOptions) => Classifier>> = {
  resnet8,
  resnet18,
  resnet20,
  resnet32,
  resnet34,
  resnet44,
  resnet50,
  resnet56,
  airbench94,
  airbench95,
  airbench96,
};

/** The names that `createModel` knows. */
export const modelNames: readonly string[] = Object.keys(models);

/** A model by its name. Throws, listing the names, where it is unknown. */
export function createModel(name: string, options?: ModelOptions): Classifier {
  if (!Object.hasOwn(models, name)) throw new Error(`unknown model "${name}"; known are ${modelNames.join(", ")}`);
  return models[name](options);
}

export { Airbench, airbench94, airbench95, airbench96 } from "./airbench.ts";
export { Classifier } from "./classifier.ts";
export * from "./resnet.ts";
export { BasicBlock, Bottleneck } from "./blocks.ts";
