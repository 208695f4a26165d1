// Training, the range test, and the run that the browser keeps.
import {
  buildRun,
  buildSchedule,
  chooseRecipe,
  createRunFolder,
  defaultAugment,
  DivergedError,
  environment,
  exportInfo,
  files,
  findLearningRate,
  openRunFolder,
  recordData,
  restoreTrainer,
  type DataRecord,
  type EpochReport,
  type LrFinderProgress,
  type LrFinderResult,
  type RawDataset,
  type RunSettings,
  type StepEvent,
  type TrainEvent,
} from "../../training/index.ts";
import type { DataReport, KeptRun, ModelReport, RangeForm, RecipeForm, RunEnd, RunEvent } from "../protocol.ts";
import { takeData } from "./data.ts";
import { claimRun, keepData, keptData, markEnded, RUN_DIR, wasEnded } from "./kept.ts";
import { refuseTooLarge } from "./memory.ts";
import { explain } from "./model.ts";
import { needData, needRun, working, type ActiveRun, type State } from "./state.ts";

/** The package's version, put in by Vite. */
declare const __KILN_VERSION__: string;

/** What a reload may lose, in seconds of training. */
const SAVE_EVERY = 20;

export function trainCalls(state: State) {
  return {
    /** Begins a run, in place of the one before, and trains until its end or until `halt`. */
    train: (form: RecipeForm, watch: (event: RunEvent) => void): Promise<RunEnd> =>
      working(state, async (signal) => {
        await begin(state, form);
        return go(state, signal, watch);
      }),

    /** Continues the run that was halted, or found by `kept`. */
    resume: (watch: (event: RunEvent) => void): Promise<RunEnd> => working(state, (signal) => go(state, signal, watch)),

    /** Ends what is under way after the step that runs; it is saved, and its own call returns. */
    halt(): void {
      state.working?.abort();
    },

    /** Gives the run up: no reload offers to continue it. */
    end: markEnded,

    /** The run that the browser has kept from an earlier visit, with its images and its model; null where there is none. */
    async kept(): Promise<{ run: KeptRun; data: DataReport; model: ModelReport } | null> {
      if (!(await claimRun()) || !(await files.exists(`${RUN_DIR}/state.safetensors`))) return null;
      const folder = await openRunFolder(RUN_DIR);
      const { settings, data: record } = folder.config as unknown as {
        settings: KeptRun["settings"];
        data: DataRecord;
      };
      const raw = await keptData(record.name, settings);
      const data = await takeData(state, raw);
      const run = { ...buildRun(settings), settings, folder };
      try {
        restoreTrainer(run.trainer, folder.state!);
        await folder.cutBack();
      } catch (error) {
        run[Symbol.dispose]();
        throw error;
      }
      release(state);
      state.run = run;
      const { step, epoch } = run.trainer.position;
      const steps = run.trainer.steps(state.data!.train, settings);
      const finished = (await wasEnded()) || epoch >= Math.ceil(settings.epochs);
      return {
        data,
        model: explainRun(state, run),
        run: {
          settings,
          finished,
          step,
          steps,
          epoch,
          reports: await lines<EpochReport>("metrics.jsonl"),
          losses: (await lines<Omit<StepEvent, "type">>("steps.jsonl")).map((line) => ({ type: "step", ...line })),
        },
      };
    },

    /** Runs a range test with the form's recipe on a model of its own; nothing else changes. */
    async findLr(
      form: RecipeForm,
      range: RangeForm,
      watch: (progress: LrFinderProgress) => void,
    ): Promise<LrFinderResult> {
      const { raw, data } = needData(state);
      using run = buildRun(settingsOf(form, raw));
      return await working(state, async (signal) => {
        await refuseTooLarge(state.device!, run.trainer, data.train);
        return findLearningRate(run.trainer, data.train, { ...range, signal, onProgress: watch });
      });
    },
  };
}

/** Makes a run and its folder, in place of the one before; that stays where the new one's recipe is wrong or its batch too large. */
async function begin(state: State, form: RecipeForm): Promise<void> {
  const { raw, data } = needData(state);
  if (!(await claimRun()))
    throw new Error("another tab of this page has a run: close it, as the browser keeps one run");
  const settings = settingsOf(form, raw);
  const run = buildRun(settings);
  try {
    buildSchedule(settings, data);
    await refuseTooLarge(state.device!, run.trainer, data.train);
    release(state);
    await files.remove(RUN_DIR);
    await keepData(raw);
    const folder = await createRunFolder(RUN_DIR, {
      model: exportInfo(settings, data),
      settings: { ...settings, ...limitsOf(raw) },
      data: recordData(raw),
      ...environment(state.device!),
      versions: { kiln: __KILN_VERSION__, browser: navigator.userAgent },
      started: new Date().toISOString(),
    });
    // From now on a reload finds the run.
    await folder.saveState(run.trainer);
    state.run = { ...run, settings, folder };
  } catch (error) {
    run[Symbol.dispose]();
    throw error;
  }
}

/** As `train.js` resolves its flags. */
export function settingsOf(form: RecipeForm, raw: RawDataset): RunSettings {
  const { augment, labelSmoothing = 0, ...rest } = form;
  return {
    stem: "cifar",
    nesterov: false,
    shuffle: true,
    dropLast: false,
    accumulate: 1,
    tta: "none",
    freeze: false,
    ...rest,
    ...chooseRecipe(form),
    data: raw.name,
    imageSize: raw.train.height,
    classes: raw.classes.length,
    mean: raw.mean,
    std: raw.std,
    ...(raw.split !== undefined && { split: raw.split }),
    labelSmoothing,
    augment: augment ?? defaultAugment(raw),
  };
}

/** So that `shapes` is drawn again with as many images. */
const limitsOf = ({ train, test }: RawDataset) => ({ limit: train.count, limitTest: test.count });

function release(state: State): void {
  if (state.model?.model === state.run?.model) state.model = null;
  state.run?.[Symbol.dispose]();
  state.run = null;
}

async function go(state: State, signal: AbortSignal, watch: (event: RunEvent) => void): Promise<RunEnd> {
  const { run, data } = needRun(state);
  const { trainer, settings, folder } = run;
  const { epochs, tta, earlyStop: patience } = settings;
  const relay = new Relay(watch);
  try {
    const events = trainer.fit(data.train, {
      epochs,
      tta,
      schedule: buildSchedule(settings, data),
      validation: data.test,
      heldOut: data.validation,
      startFrom: trainer.position,
      saveEvery: SAVE_EVERY,
      signal,
      ...(patience !== undefined && { earlyStop: { patience } }),
    });
    let reason: RunEnd["reason"] = "stopped";
    for await (const event of events) {
      await folder.record(event);
      if (event.type === "save" || event.type === "epoch" || event.type === "end") await folder.saveState(trainer);
      if (event.type === "end") reason = event.reason;
      if (event.type === "progress") relay.send({ type: "memory", bytes: state.device!.memory().bytes });
      relay.pass(event);
    }
    if (reason !== "stopped") await markEnded();
    return { reason, model: explainRun(state, run) };
  } catch (error) {
    // What was saved before would only diverge again.
    const diverged = error instanceof DivergedError;
    // The last steps show how it came to this. That something cannot be written must not hide why it did.
    await Promise.allSettled([folder.flush(), diverged && markEnded()]);
    // Before the first step there is nothing to keep.
    if (diverged || trainer.position.step === 0) throw error;
    return { reason: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}

/** Passes events on, the steps together with the next event of another kind: a fast GPU makes hundreds a second. */
class Relay {
  readonly send: (event: RunEvent) => void;
  #steps: StepEvent[] = [];

  constructor(send: (event: RunEvent) => void) {
    this.send = send;
  }

  pass(event: TrainEvent): void {
    if (event.type === "step") {
      this.#steps.push(event);
      return;
    }
    if (this.#steps.length > 0) this.send({ type: "steps", steps: this.#steps });
    this.#steps = [];
    this.send(event);
  }
}

/** Makes a run's model the one that is explained: its moving average, where it has one. */
function explainRun(state: State, { model, trainer, settings }: ActiveRun): ModelReport {
  const { epoch, running } = trainer.position;
  const where = running.steps > 0 || epoch === 0 ? `in epoch ${epoch + 1}` : `after epoch ${epoch}`;
  return explain(state, {
    model,
    settings,
    classes: state.data!.classes,
    origin: `trained here, ${where}`,
    use: (work) => trainer.withAverage(work),
  });
}

async function lines<T>(name: string): Promise<T[]> {
  const text = await files.readText(`${RUN_DIR}/${name}`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
