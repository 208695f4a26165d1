// What the worker holds between two calls.
import type { Device } from "../../engine/index.ts";
import {
  dataChange,
  type DataRecord,
  type Dataset,
  type RawDataset,
  type Run,
  type RunFolder,
  type RunSettings,
} from "../../training/index.ts";
import type { Classifier } from "../../nn/index.ts";
import { Turns } from "./turns.ts";

export interface State {
  device: Device | null;
  /** The images on the host and on the device. */
  raw: RawDataset | null;
  data: Dataset | null;
  /** The run that was begun, continued or finished last. */
  run: ActiveRun | null;
  /** The model that is explained and downloaded: the run's, or one that was opened from a file. */
  model: ExplainedModel | null;
  /** Set while the GPU is busy with training or a range test; aborting it ends that. */
  working: AbortController | null;
  /** Whoever runs the model that is explained, or frees it, takes a turn. */
  readonly turns: Turns;
}

export interface ActiveRun extends Run {
  readonly settings: RunSettings;
  readonly folder: RunFolder;
}

export interface ExplainedModel {
  readonly model: Classifier;
  readonly settings: Pick<RunSettings, "model" | "stem" | "classes" | "imageSize" | "mean" | "std" | "split">;
  readonly classes: readonly string[];
  /** "trained here, after epoch 2". */
  readonly origin: string;
  /** Runs `work` with the weights that count: a moving average, where there is one. */
  readonly use: <T>(work: () => Promise<T>) => Promise<T>;
}

export const freshState = (): State => ({
  device: null,
  raw: null,
  data: null,
  run: null,
  model: null,
  working: null,
  turns: new Turns(),
});

/** @throws Error of one line where no images are loaded */
export function needData(state: State): { readonly raw: RawDataset; readonly data: Dataset } {
  const { raw, data } = state;
  if (raw && data) return { raw, data };
  throw new Error("no images are loaded: choose some under Data");
}

/**
 * The run with the images that it is trained on.
 *
 * @throws Error of one line where there is no run, or other images are loaded
 */
export function needRun(state: State): { readonly run: ActiveRun; readonly data: Dataset } {
  const { raw, data } = needData(state);
  const { run } = state;
  if (!run) throw new Error("there is no run yet: train first");
  const change = dataChange(raw, run.folder.config["data"] as DataRecord);
  if (change === null) return { run, data };
  throw new Error(`other images are loaded than those of the run (${change}): load these again, or reload the page`);
}

/**
 * The model that is explained; its `use` waits for a turn, as two that borrow the moving average at once would lose the weights.
 *
 * @throws Error of one line where there is no model, or it is being trained; `use` too, when training came first
 */
export function needModel(state: State): ExplainedModel {
  refuseWhileTraining(state);
  const { model } = state;
  if (!model) throw new Error("there is no model yet: train one, or open a checkpoint");
  return {
    ...model,
    use: (work) =>
      state.turns.take(() => {
        refuseWhileTraining(state);
        return model.use(work);
      }),
  };
}

/** Takes the GPU for `work`: nobody looks at the model meanwhile, and `halt` aborts the signal. */
export async function working<T>(state: State, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal } = (state.working = new AbortController());
  try {
    // From here on nobody begins to look; who does gives the weights back first.
    await state.turns.take(() => undefined);
    return await work(signal);
  } finally {
    state.working = null;
  }
}

/** @throws Error of one line where a training or a range test is under way */
export function refuseWhileTraining({ working }: State): void {
  if (working) throw new Error("the model is being trained: press Pause or wait for the end");
}
