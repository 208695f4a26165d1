// All of kiln/training that needs neither the chart library nor TensorBoard: what a page loads (web/library.ts).
export type { StepAt, TrainerOptions } from "./trainer-options.ts";
export { Trainer, type StepOutput, type TrainerSnapshot } from "./trainer.ts";
export type { AveragesState, EmaOptions, LookaheadOptions } from "./averaging.ts";
export type { EarlyStopOptions } from "./monitors.ts";
export { forwardViews, TTA_VIEWS, type Tta } from "./tta.ts";
export type { FitOptions } from "./fit.ts";
export {
  DivergedError,
  START,
  type EndEvent,
  type EpochEvent,
  type EpochReport,
  type EvaluatingEvent,
  type Position,
  type ProgressEvent,
  type RunningSums,
  type SaveEvent,
  type StartEvent,
  type StepEvent,
  type TrainEvent,
} from "./events.ts";
export { crossEntropy, type Loss } from "./losses.ts";
export { evaluate, evaluateBatches, type ClassAccuracy, type EvaluateOptions, type Evaluation } from "./evaluate.ts";
export * from "./optimizers/index.ts";
export * from "./schedules/index.ts";
export {
  chooseRecipe,
  defaultAugment,
  OPTIMIZERS,
  PRECISIONS,
  type OptimizerName,
  type Precision,
  type Recipe,
  type RunSettings,
} from "./recipe.ts";
export {
  buildRun,
  buildSchedule,
  exportInfo,
  makeSchedule,
  dataChange,
  recordData,
  type DataRecord,
  type Run,
} from "./build-run.ts";
export { parseSchedule, type ScheduleContext, type ScheduleMaker } from "./schedule-grammar.ts";
export { augmentNames, parseAugment, type AugmentStep } from "./augment-grammar.ts";
export {
  DeviceDataset,
  loadDataset,
  toDevice,
  type Batch,
  type BatchOptions,
  type Dataset,
  type DatasetInfo,
} from "./data/device-dataset.ts";
export { loadRaw, type LoadOptions } from "./data/load.ts";
export {
  limit,
  pixelStatistics,
  subset,
  type ImageSet,
  type LoadProgress,
  type RawDataset,
  type Rgb,
} from "./data/dataset.ts";
export { files } from "#files";
export type { DecodedImage, FileEntry, Files, FileStat, Fit } from "./files.ts";
export { decodeState, encodeState, restoreTrainer, type BestEpoch, type RunState } from "./checkpoint.ts";
export { createRunFolder, openRunFolder, environment, RunFolder, type RunConfig } from "./run-folder.ts";
export * from "./lr-finder/index.ts";
export { colorMapNames, colorTable, type ColorMap } from "./explain/color-maps.ts";
export { confidenceChange, type ClassMaps, type ConfidenceChange } from "./explain/confidence.ts";
export {
  enlarge,
  heatMap,
  montage,
  overlay,
  signedDifference,
  type MontageOptions,
  type OverlayOptions,
  type Picture,
} from "./explain/overlay.ts";
export { measureMethods, type MeasureOptions, type MethodFigures } from "./explain/measure.ts";
export { pointing, type HeatMaps, type MapPointing, type Pointing } from "./explain/pointing.ts";
export { road, type Road, type RoadOptions } from "./explain/road.ts";
export { gradCam, type CamMaps, type CamOptions } from "./explain/cam.ts";
export { camMethod, camMethods, type CamMethod } from "./explain/methods.ts";
export { defaultLayer, spatialLayers, type SpatialLayer } from "./explain/default-layer.ts";
export {
  classificationReport,
  type CalibrationBin,
  type ClassificationReport,
  type ClassReport,
  type ConfusedPair,
  type Mistake,
} from "./classification-report.ts";
export { augmentedViews, channelStatistics, classCounts, labelledSamples, rawImage } from "./data/looks.ts";
export { preset, presetNames, presets, type Preset, type PresetHooks } from "./presets/index.ts";
export { verdict, type Verdict } from "./report/verdict.ts";
export { LossScaler, type LossScalerOptions, type LossScaleState } from "./loss-scaling.ts";
export { loadTuning, saveTuning, tuningFile } from "./tuning-cache.ts";
