// The public names of kiln/training.
export * from "./core.ts";
export { saveLrFinder } from "./lr-finder/save.ts";
export { writeReport, type ReportOptions } from "./report/index.ts";
export { recordRun, recordWeights, resumeAt } from "./tensorboard/run.ts";
export { TensorBoardWriter, type Resume } from "./tensorboard/writer.ts";
