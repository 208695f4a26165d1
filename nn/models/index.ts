// Models by name.
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
  type ResNet,
} from "./resnet.ts";

const models: Readonly<Record<string, (options?: ModelOptions) => ResNet>> = {
  resnet8,
  resnet18,
  resnet20,
  resnet32,
  resnet34,
  resnet44,
  resnet50,
  resnet56,
};

/** The names that `createModel` knows. */
export const modelNames: readonly string[] = Object.keys(models);

/** A model by its name. Throws, listing the names, where it is unknown. */
export function createModel(name: string, options?: ModelOptions): ResNet {
  if (!Object.hasOwn(models, name)) throw new Error(`unknown model "${name}"; known are ${modelNames.join(", ")}`);
  return models[name](options);
}

export * from "./resnet.ts";
export { BasicBlock, Bottleneck } from "./blocks.ts";
