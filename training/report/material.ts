// All that the report's sections draw from.
import type { Module } from "../../nn/index.ts";
import type { ClassificationReport } from "../classification-report.ts";
import type { Dataset } from "../data/device-dataset.ts";
import type { AugmentStep } from "../augment-grammar.ts";
import type { Tta } from "../tta.ts";
import type { RunFiles } from "./run-files.ts";

export interface Material {
  readonly run: RunFiles;
  readonly model: Module;
  readonly data: Dataset;
  /** Of the test set, by the model as it is now. */
  readonly result: ClassificationReport;
  /** What is done to training images. */
  readonly augment: readonly AugmentStep[];
  readonly seed: number;
  readonly tta: Tta;
  /** In words: "of epoch 12, the best by the test set". */
  readonly weights: string;
  readonly bestBy: "validation" | "test";
  /** Throws where the report was interrupted. */
  readonly check: () => void;
}
