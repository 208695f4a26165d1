// What the page and its worker say to each other. Everything here can be posted: plain data, typed arrays.
import type {
  EndEvent,
  EpochReport,
  OptimizerName,
  Picture,
  Precision,
  RunSettings,
  StepEvent,
  TrainEvent,
} from "../training/index.ts";

/** The GPU in words. */
export interface DeviceReport {
  readonly name: string;
  readonly software: boolean;
}

/** Where images come from, as the page asks for them. */
export interface DataLimits {
  /** Use only the first so many, in the data set's own order. */
  readonly limit?: number;
  readonly limitTest?: number;
}

/** A data set that is loaded. */
export interface DataReport {
  readonly name: string;
  readonly classes: readonly string[];
  readonly imageSize: number;
  readonly train: number;
  readonly test: number;
  /** Training images of each class. */
  readonly counts: readonly number[];
  readonly defaultAugment: string;
  /** What went wrong on the way without stopping it. */
  readonly warnings: readonly string[];
}

/** The recipe as the form has it: what is left out gets the defaults of `train.js`. Texts are in the words of its flags. */
export interface RecipeForm {
  readonly model: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerName;
  readonly lr?: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly schedule?: string;
  readonly augment?: string;
  readonly labelSmoothing?: number;
  readonly mixup?: number;
  readonly cutmix?: number;
  readonly ema?: number;
  readonly seed: number;
  readonly precision: Precision;
}

/** The range test as the form has it. */
export interface RangeForm {
  readonly startLr?: number;
  readonly endLr?: number;
  readonly iterations?: number;
}

/** A model with weights worth explaining, testing and downloading. */
export interface ModelReport {
  /** "resnet8". */
  readonly name: string;
  readonly classes: readonly string[];
  readonly imageSize: number;
  /** Layers that Grad-CAM may look at, first to last, and the one it takes by itself. */
  readonly layers: readonly string[];
  readonly defaultLayer: string;
  /** "trained here, after epoch 2", "opened from best.safetensors". */
  readonly origin: string;
  /** Whether it is the run's. */
  readonly trainedHere: boolean;
}

/** Where a run stands that this browser has kept. */
export interface KeptRun {
  /** With how many of its images it was begun. */
  readonly settings: RunSettings & DataLimits;
  readonly finished: boolean;
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly reports: readonly EpochReport[];
  readonly losses: readonly StepEvent[];
}

/** What the page hears while a run goes on: training's own events, the steps many at a time. */
export type RunEvent =
  | Exclude<TrainEvent, StepEvent>
  | { readonly type: "steps"; readonly steps: readonly StepEvent[] }
  | { readonly type: "memory"; readonly bytes: number };

/** How a run's leg ended. "failed": this worker cannot go on, a fresh one can from what was saved. */
export type RunEnd =
  | { readonly reason: EndEvent["reason"]; readonly model: ModelReport }
  | { readonly reason: "failed"; readonly message: string };

export type { Picture };
