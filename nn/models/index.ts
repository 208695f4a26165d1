// Models by name.
import { airbench94, airbench95, airbench96 } from "./airbench.ts";
import type { Classifier } from "./classifier.ts";
import { modelNames, type ModelName } from "./names.ts";
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

const models: Readonly<Record<ModelName, (options?: ModelOptions) => Classifier>> = {
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

export { modelNames, type ModelName };

/** A model by its name. Throws, listing the names, where it is unknown. */
export function createModel(name: string, options?: ModelOptions): Classifier {
  const known = modelNames.find((each) => each === name);
  if (known === undefined) throw new Error(`unknown model "${name}"; known are ${modelNames.join(", ")}`);
  return models[known](options);
}

export { Airbench, airbench94, airbench95, airbench96 } from "./airbench.ts";
export { Classifier } from "./classifier.ts";
export * from "./resnet.ts";
export { BasicBlock, Bottleneck } from "./blocks.ts";
