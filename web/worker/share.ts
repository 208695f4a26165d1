// Files in and out: checkpoints, the run's metrics, its report.
import { exportWeights, modelFromCheckpoint, readCheckpoint, stemImageSize } from "../../nn/index.ts";
import { zip } from "fflate";
import { files, writeReport } from "../../training/index.ts";
import { useDocument } from "../../training/pictures.browser.ts";
import type { ModelReport } from "../protocol.ts";
import { RUN_DIR } from "./kept.ts";
import { explain } from "./model.ts";
import { needModel, needRun, refuseWhileTraining, type ExplainedModel, type State } from "./state.ts";

/** Files of the run's folder that are the page's own business. */
const PRIVATE = ["ended"];

/** A file to hand out. */
export interface Download {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function shareCalls(state: State) {
  return {
    /** The weights that are explained, as safetensors: `evaluate.js` and PyTorch take them. */
    async checkpoint(): Promise<Download> {
      const { use, model, settings, classes } = needModel(state);
      const { model: name, ...rest } = settings;
      const named = classes.length === settings.classes ? { classNames: classes } : {};
      const bytes = await use(() => exportWeights(model, { name, ...rest, ...named }));
      return { name: `${name}.safetensors`, type: "application/octet-stream", bytes };
    },

    /** One of the kept run's files, such as "metrics.jsonl". */
    async runFile(name: string): Promise<Download> {
      const path = `${RUN_DIR}/${name}`;
      if (!(await files.exists(path))) throw new Error("there is no run yet: train first");
      const bytes = (await files.read(path)).slice();
      if (bytes.length === 0) throw new Error(`${name} is empty still: it gets its first line after an epoch`);
      return { name, type: "application/octet-stream", bytes };
    },

    /**
     * The report of the run that was trained here, as `train.js` writes it.
     *
     * @param watch told what is being done
     */
    async report(watch: (what: string) => void): Promise<Download> {
      // Plot draws into a document, and a worker has none.
      const { parseHTML } = await import("linkedom/worker");
      useDocument(parseHTML("<!doctype html><html><body></body></html>").document);
      // Nothing is looked at before the turn: training may begin while the import or the turn is waited for.
      return state.turns.take(async () => {
        refuseWhileTraining(state);
        const { run, data } = needRun(state);
        const { model, trainer, settings } = run;
        const weights = `of epoch ${trainer.position.epoch} of ${Math.ceil(settings.epochs)}`;
        await trainer.withAverage(() =>
          writeReport({ dir: RUN_DIR, model, data, weights, tta: settings.tta, pictures: false, onProgress: watch }),
        );
        return { name: "report.html", type: "text/html", bytes: (await files.read(`${RUN_DIR}/report.html`)).slice() };
      });
    },

    /** The whole folder as a ZIP: unpacked, `train.js --resume` and `compare.js` take it. */
    async runFolder(): Promise<Download> {
      if (!(await files.exists(RUN_DIR))) throw new Error("there is no run yet: train first");
      const entries = (await files.list(RUN_DIR)).filter(
        ({ name, directory }) => !directory && !PRIVATE.includes(name),
      );
      const parts: Record<string, Uint8Array> = {};
      for (const { name } of entries) parts[`kiln-run/${name}`] = await files.read(`${RUN_DIR}/${name}`);
      return { name: "kiln-run.zip", type: "application/zip", bytes: await zipped(parts) };
    },

    /**
     * Opens weights: the command line's, torchvision's, this page's.
     *
     * @throws Error of one line where they are damaged, or do not say which model they are of
     */
    async openCheckpoint(bytes: Uint8Array, name: string): Promise<ModelReport> {
      if (state.working) throw new Error("a training is under way: press Pause first");
      const checkpoint = readCheckpoint(bytes, name);
      const model = modelFromCheckpoint(checkpoint, name);
      const { classes: names, mean, std, split, model: info } = checkpoint.metadata;
      const classes = names ?? Array.from({ length: model.classes }, (_, i) => state.raw?.classes[i] ?? `class ${i}`);
      const opened: ExplainedModel = {
        model,
        settings: {
          model: model.name,
          stem: model.stem,
          classes: model.classes,
          imageSize: info?.imageSize ?? stemImageSize(model.stem),
          mean: rgb(mean) ?? state.raw?.mean ?? [0.5, 0.5, 0.5],
          std: rgb(std) ?? state.raw?.std ?? [0.25, 0.25, 0.25],
          ...(split !== undefined && { split }),
        },
        classes,
        origin: `opened from ${name}`,
        use: (work) => work(),
      };
      return state.turns.take(() => explain(state, opened));
    },
  };
}

/** Weights are random to a compressor: only stored, they take no time. */
const zipped = (parts: Record<string, Uint8Array>): Promise<Uint8Array<ArrayBuffer>> =>
  new Promise((done, fail) => zip(parts, { level: 0 }, (error, bytes) => (error ? fail(error) : done(bytes))));

const rgb = (values: readonly number[] | undefined) => values as [number, number, number] | undefined;
