/** The names that `createModel` knows. A file of its own: a form that lists them needs no model. */
export const modelNames = [
  "resnet8",
  "resnet18",
  "resnet20",
  "resnet32",
  "resnet34",
  "resnet44",
  "resnet50",
  "resnet56",
  "airbench94",
  "airbench95",
  "airbench96",
] as const;

export type ModelName = (typeof modelNames)[number];
